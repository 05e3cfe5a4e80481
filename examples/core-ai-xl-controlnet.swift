// Draws with Stable Diffusion XL and a ControlNet in Core AI, from a folder that sdconvert wrote.
//
// NOBODY HAS RUN THIS. It needs macOS or iOS 27, and was written from the sources of apple/coreai-models at 86b363d, whose
// CoreAIDiffusionPipeline it builds on. Please report what it does.
//
//   sdconvert --model-version stabilityai/stable-diffusion-xl-base-1.0 --target coreai -o out --quantize-nbits 8 \
//     --convert-text-encoder --convert-vae-decoder --convert-unet --unet-support-controlnet \
//     --convert-controlnet diffusers/controlnet-canny-sdxl-1.0

import CoreAI
import CoreAIDiffusionPipeline
import Foundation

struct ControlledXL {
    /// Height and width of the latents: those of the picture divided by 8.
    let side = 128
    /// From metadata.json.
    let decoderScale: Float = 0.13025

    let text, controlNet, unet, decoder: CoreAIDiffusionModelFunction

    init(folder: URL, controlNet name: String) {
        func asset(_ name: String) -> CoreAIDiffusionModelFunction {
            CoreAIDiffusionModelFunction(modelURL: folder.appendingPathComponent("\(name).aimodel"))
        }
        text = asset("TextEncoder")
        controlNet = asset(name)
        unet = asset("ControlledUnet")
        decoder = asset("VAEDecoder")
    }

    /// The picture, red, green and blue from -1 to 1, one after another. Token ids: 77 as vocab.json and merges.txt give them,
    /// begun with 49406, ended and filled up with 49407. `hint`: the ControlNet's picture, [3, 1024, 1024] from 0 to 1. `noise`:
    /// [4, 128, 128], normally distributed.
    func draw(
        prompt: [Int32], negative: [Int32], hint: [Float], noise: [Float], steps: Int = 20, guidance: Float = 7,
        strength: Float = 1
    ) async throws -> [Float] {
        // The row without the prompt comes first.
        let states = try await text.run(intInputs: [(negative, [1, 77])]) + text.run(intInputs: [(prompt, [1, 77])])
        let scheduler = DPMSolverMultistepScheduler(stepCount: steps, betaStart: 0.00085, betaEnd: 0.012)
        var latents = noise
        for step in scheduler.timeSteps {
            let shared: [([Float], [Int])] = [
                (latents + latents, [2, 4, side, side]),
                ([Float](repeating: Float(step), count: 2), [2]),
                (states, [2, 77, states.count / (2 * 77)]),
            ]
            let picture = (hint + hint, [2, 3, 8 * side, 8 * side])
            let added = try await residuals(shared + [picture]).map { values, shape in
                (values.map { $0 * strength }, shape)
            }
            let output = try await unet.run(floatInputs: shared + added)
            let half = output.count / 2
            let guided = (0..<half).map { output[$0] + guidance * (output[half + $0] - output[$0]) }
            latents = scheduler.step(output: guided, timeStep: step, sample: latents)
        }
        return try await decoder.run(floatInputs: [(latents.map { $0 / decoderScale }, [1, 4, side, side])])
    }

    /// All outputs of the ControlNet, in the order in which ControlledUnet takes them.
    private func residuals(_ inputs: [([Float], [Int])]) async throws -> [([Float], [Int])] {
        let names = ["sample", "timestep", "encoder_hidden_states", "controlnet_cond"]
        let arrays = inputs.map { values, shape in
            var array = NDArray(shape: shape, scalarType: .float32)
            let view = array.mutableView(as: Float.self)
            view.withUnsafeMutablePointer { pointer, _, _ in
                for at in values.indices { pointer[at] = values[at] }
            }
            return array
        }
        let given = Dictionary(uniqueKeysWithValues: zip(names, arrays))
        let found = try await controlNet.predictAllOutputs(inputs: given)
        let shapes = try await controlNet.outputDescriptors
        return (0..<found.count).map { index in
            let name = "additional_residual_\(index)"
            return (found[name] ?? [], shapes[name]?.shape ?? [])
        }
    }
}

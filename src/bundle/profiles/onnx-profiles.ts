import type { NetworkKind } from '../../convert/networks/networks.ts';
import type { OnnxEdges } from '../../formats/client-form.ts';
import type { ClientName, Profile } from './profile.ts';

/** The networks of text to image, and those that come beside them. */
const core = ['text_encoder', 'unet', 'vae_decoder'] as const;
const withEncoder = [...core, 'vae_encoder'] as const;
const withXl = [...withEncoder, 'text_encoder_2'] as const;
const all: readonly NetworkKind[] = [...withXl, 'controlnet', 'control-unet', 'refiner', 'safety_checker'];

const tokenizer = ['tokenizer/vocab.json', 'tokenizer/merges.txt'];
const pipeline = ['model_index.json', 'scheduler/scheduler_config.json', ...tokenizer];

/** What optimum takes: it reads dtypes and ranks from the models. */
const byDeclaration: OnnxEdges = {
  ids: { text_encoder: ['i64', 'i32'], text_encoder_2: ['i64', 'i32'] },
  timestep: { dtypes: ['f32', 'f16', 'i64'], shapes: [[], ['batch_size']] },
  floats: ['f32', 'f16'],
  vaeEncoder: 'parameters',
  data: 'model.onnx_data',
  dims: {},
};

/** A profile whose artifacts have edges of their own, in a folder named after the client. */
function onnxProfile(
  client: ClientName,
  edges: Partial<OnnxEdges>,
  profile: Omit<Profile, 'target' | 'folder' | 'form'>,
): Profile {
  const folder = `onnx-${client}`;
  const form = { client, folder, networks: profile.networks, onnx: { ...byDeclaration, ...edges } };
  return { target: 'onnx', folder, form, ...profile };
}

/** The clients that load ONNX models. */
export const onnxProfiles = {
  optimum: {
    target: 'onnx',
    title: 'optimum’s ORTStableDiffusionPipeline and ORTStableDiffusionXLPipeline',
    folder: 'onnx',
    isComplete: true,
    required: core,
    networks: all,
    files: pipeline,
    notes: [
      'Reads dtypes and ranks from the models; has no ControlNets, and a safety checker only in torch.',
    ],
  },

  'ort-web': onnxProfile(
    'ort-web',
    {
      ids: { text_encoder: ['i32'], text_encoder_2: ['i32'] },
      timestep: { dtypes: ['i64'], shapes: [[1]] },
      floats: ['f32'],
      textOutputs: ['last_hidden_state'],
      data: null,
      dims: { vae_decoder: { latent_height: 'height_latent', latent_width: 'width_latent' } },
    },
    {
      title: 'onnxruntime’s page for SD-Turbo, and web-txt2img (modelBaseUrl)',
      required: core,
      networks: core,
      files: [],
      notes: [
        'Loads a file for each model, of at most 2 GB, so its weights are copies; tokenizer and scheduler are its own.',
      ],
    },
  ),

  'diffusers-js': onnxProfile(
    'diffusers-js',
    {
      ids: { text_encoder: ['i32'], text_encoder_2: ['i32'] },
      timestep: { dtypes: ['f32'], shapes: [[1]] },
      floats: ['f32'],
      vaeEncoder: 'sample',
    },
    {
      title: 'diffusers.js',
      required: withEncoder,
      networks: withXl,
      schedulers: ['PNDMScheduler', 'LCMScheduler'],
      pipelines: [
        'StableDiffusionPipeline',
        'OnnxStableDiffusionPipeline',
        'StableDiffusionXLPipeline',
        'ORTStableDiffusionXLPipeline',
        'LatentConsistencyModelPipeline',
      ],
      files: pipeline,
      notes: [
        'Leave its option sdV1 off: it would send timesteps as int64.',
        'Draws with PNDM, or with LCM where model_index.json names that pipeline, by the numbers in the scheduler’s file.',
      ],
    },
  ),

  onnxstack: onnxProfile(
    'onnxstack',
    {
      ids: { text_encoder: ['i32'], text_encoder_2: ['i64'] },
      timestep: { dtypes: ['f32', 'f16', 'i64'], shapes: [[1], []] },
      floats: ['f32', 'f16'],
      vaeEncoder: 'sample',
      data: 'model.onnx.data',
    },
    {
      title: 'OnnxStack and Amuse (io32: float32 at the edges)',
      required: withEncoder,
      networks: [...withXl, 'controlnet'],
      files: tokenizer,
      notes: ['Chooses its scheduler itself.'],
    },
  ),

  openvino: onnxProfile(
    'openvino',
    {
      timestep: { dtypes: ['i64'], shapes: [[1], ['steps']] },
    },
    {
      title: 'OpenVINO GenAI’s Text2ImagePipeline, once converted to its IR (and OpenVINO itself, as it is)',
      required: core,
      networks: withXl,
      schedulers: [
        'EulerDiscreteScheduler',
        'DDIMScheduler',
        'EulerAncestralDiscreteScheduler',
        'LCMScheduler',
        'PNDMScheduler',
        'FlowMatchEulerDiscreteScheduler',
      ],
      pipelines: ['StableDiffusionPipeline', 'StableDiffusionXLPipeline', 'LatentConsistencyModelPipeline'],
      components: {
        text_encoder: ['transformers', 'CLIPTextModel'],
        text_encoder_2: ['transformers', 'CLIPTextModelWithProjection'],
        unet: ['diffusers', 'UNet2DConditionModel'],
        vae: ['diffusers', 'AutoencoderKL'],
      },
      files: pipeline,
      notes: ['test/python/openvino_pipeline.py converts the folder to IR and draws from it.'],
    },
  ),

  'webnn-sd15': onnxProfile(
    'webnn-sd15',
    {
      ids: { text_encoder: ['i32'], text_encoder_2: ['i32'] },
      timestep: { dtypes: ['i64'], shapes: [[2]] },
      floats: ['f16'],
      textOutputs: ['last_hidden_state'],
      data: null,
      dims: {
        text_encoder: { batch_size: 2 },
        unet: { batch_size: 2, height: 64, width: 64, sequence_length: 77 },
        vae_decoder: { batch_size: 1, latent_height: 64, latent_width: 64 },
        safety_checker: { batch_size: 1, height: 224, width: 224 },
      },
    },
    {
      title: 'the WebNN samples’ Stable Diffusion 1.5',
      required: core,
      networks: [...core, 'safety_checker'],
      flatNames: {
        text_encoder: 'text-encoder.onnx',
        unet: 'sd-unet-v1.5-model-b2c4h64w64s77-float16-compute-and-inputs-layernorm.onnx',
        vae_decoder: 'Stable-Diffusion-v1.5-vae-decoder-float16-fp32-instancenorm.onnx',
        safety_checker: 'safety_checker_int32_reduceSum.onnx',
      },
      files: [],
      notes: ['Draws 512 × 512 only, from models in one file each, so its weights are copies.'],
    },
  ),
} as const satisfies Partial<Readonly<Record<ClientName, Profile>>>;

/** The edges that an ONNX client takes; optimum's models have those that the target writes by itself. */
export function edgesOf({ form }: Pick<Profile, 'form'>): OnnxEdges {
  return form?.onnx ?? byDeclaration;
}

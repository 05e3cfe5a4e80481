/** Small facts of the folder that Apple's pipelines load, which the help needs without the library. */

/** The folder, relative to the output. */
export const COREAI_FOLDER = 'CoreAI';

/** Schedulers of Apple's pipelines, by diffusers' names; who draws chooses one. */
export const coreAiSchedulers = ['DPMSolverMultistepScheduler', 'PNDMScheduler'] as const;

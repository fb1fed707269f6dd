/** The HTTP interface of `cam serve`; docs/viewer.md describes it. */

/** What the server refuses, in its own words. */
export class Refusal extends Error {}

async function answerTo(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer; is cam serve still running?");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Refusal(said.detail ?? `The server answers ${answer.status}.`);
}

/** What can be asked for: `{models, styles, placements}`. */
export const listModels = async () => (await answerTo("api/models")).json();

export const listColorMaps = async () => (await answerTo("api/colormaps")).json();

/** The first classes of a model whose name has a text in it, as `[{index, name}]`. */
export async function findClasses(model, query, limit, signal) {
  const asked = new URLSearchParams({ query, limit });
  const path = `api/models/${encodeURIComponent(model)}/classes?${asked}`;
  return (await (await answerTo(path, { signal })).json()).classes;
}

/** The question that says which classes of a picture are wanted, and how. */
function question({ model, style, placement, classes, name }, more) {
  const asked = new URLSearchParams({ model, style, name });
  if (style === "pycaffe") asked.set("placement", placement);
  for (const index of classes) asked.append("class", index);
  for (const [key, value] of more) asked.append(key, value);
  return asked;
}

/** A picture's payload. */
export async function explain(picture, wanted, signal) {
  const asked = question(wanted, [["include", "frame"], ["include", "boxes"]]);
  return (await answerTo(`api/explain?${asked}`, { method: "POST", body: picture, signal })).json();
}

/** A picture's result as a file. */
export async function exportFile(picture, wanted, format) {
  const asked = question(wanted, [["format", format]]);
  return (await answerTo(`api/export?${asked}`, { method: "POST", body: picture })).blob();
}

/** How far a picture's result is from one of MATLAB, as `cam compare` says it. */
export async function compare(picture, result, wanted) {
  const body = new FormData();
  body.append("picture", picture, picture.name || "picture");
  body.append("result", result, result.name);
  const asked = question(wanted, []);
  return (await answerTo(`api/compare?${asked}`, { method: "POST", body })).json();
}

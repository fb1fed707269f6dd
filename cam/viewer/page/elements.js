/** Small helpers for building a page; text from anyone only ever becomes text. */

/**
 * A new element.
 *
 * @param {string} tag - Its name, with classes after dots: "button.card".
 * @param {Object} [properties] - Attributes; functions listen to the event of their name, `true`
 *   and `false` set and leave out an attribute.
 * @param {...(Node|string)} children - What it holds.
 */
export function element(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  made.classList.add(...classes);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(key, value === true ? "" : value);
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A name from anyone, in whatever direction it is written. */
export function named(text, tag = "bdi") {
  return element(tag, { title: text }, text);
}

/** A select box of `[value, text]` pairs with its label. */
export function selectBox(label, options, change) {
  const select = element(
    "select",
    { change: () => change(select.value) },
    ...options.map(([value, text]) => element("option", { value }, text)),
  );
  return { node: element("label.field", {}, element("span", {}, label), select), select };
}

/** A share as people read it. */
export function percent(share) {
  if (share === null || share === undefined) return "–";
  return `${(100 * share).toFixed(share > 0.9995 || share < 0.0995 ? 1 : 0)} %`;
}

/** The first of a class's names: "cup" of "n07930864 cup, mug". */
export function shortName(name) {
  return name.replace(/^n\d{8} /, "").split(",")[0];
}

/** A picture from a data or blob address, once it is decoded. */
export async function loadImage(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

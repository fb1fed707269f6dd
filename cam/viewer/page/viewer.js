/** One picture, large: any of its classes, opacity, colour maps, boxes, values under the pointer. */

import { element, loadImage, named, percent, selectBox, shortName } from "./elements.js";
import {
  PUBLISHED_COLORS,
  decodeMaps,
  heatScale,
  levelsOf,
  mergedMap,
  overlay,
  pictureMap,
} from "./maps.js";

const SVG = "http://www.w3.org/2000/svg";
/** Pictures are drawn with at most so many pixels on their longer side. */
const LONGEST_SIDE = 1600;
const UNKNOWN_PICTURE = "rgb(128 128 128)";
const PUBLISHED = "published";

/** Draw what a payload's picture looks like without heat; returns its pixels. */
export async function drawPicture(canvas, payload, rows, columns, wantsFrame) {
  const address = wantsFrame ? payload.frame : (payload.picture ?? payload.frame);
  const image = address ? await loadImage(address) : null;
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  if (image) context.drawImage(image, 0, 0, columns, rows);
  else {
    context.fillStyle = UNKNOWN_PICTURE;
    context.fillRect(0, 0, columns, rows);
  }
  return context.getImageData(0, 0, columns, rows).data;
}

/** Draw a payload's overlay as it was published, on its frame. */
export async function drawThumbnail(canvas, payload, colors) {
  const size = payload.frame_size;
  const pixels = await drawPicture(canvas, payload, size, size, true);
  if (!payload.maps) return;
  const maps = { ...payload, decoded: decodeMaps(payload.maps) };
  const levels = levelsOf(payload.style, mergedMap(maps, 0));
  const table = colors[PUBLISHED_COLORS[payload.style]];
  const mixed = overlay(payload.style, pixels, levels, table);
  canvas.getContext("2d").putImageData(new ImageData(mixed, size, size), 0, 0);
}

/** Rows and columns of a picture as it is drawn. */
function drawnSize({ rows, columns }) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(rows, columns));
  return [Math.max(1, Math.round(rows * scale)), Math.max(1, Math.round(columns * scale))];
}

let viewers = 0;

export class Viewer {
  /**
   * @param {Object} colors - Tables by name, of `colorTables`.
   * @param {function} [changed] - Called with what was changed, to be given to another's `set`.
   */
  constructor(colors, changed = () => {}) {
    this.colors = colors;
    this.changed = changed;
    this.state = { chosen: 0, alpha: null, colorMap: PUBLISHED, wantsFrame: false, boxes: false };
    this.showing = 0;
    viewers += 1;
    this.group = `class-${viewers}`;
    this.build();
  }

  build() {
    this.canvas = element("canvas", { role: "img", "aria-label": "" });
    this.boxes = document.createElementNS(SVG, "svg");
    this.boxes.setAttribute("aria-hidden", "true");
    this.boxes.setAttribute("preserveAspectRatio", "none");
    this.sheet = element("div.sheet", {}, this.canvas, this.boxes);
    this.caption = element("p.caption", { hidden: true });
    this.stage = element("div.stage", {}, this.sheet, this.caption);
    this.stages = element("div.stages", {}, this.stage);
    this.sheet.addEventListener("pointermove", (event) => this.readValue(event));
    this.sheet.addEventListener("pointerdown", (event) => this.readValue(event));
    this.sheet.addEventListener("pointerleave", () => this.say(""));
    this.readout = element("output.readout", { "aria-live": "off" });
    this.note = element("p.note", { hidden: true });
    this.classes = element("fieldset.classes");
    this.node = element(
      "div.viewer",
      {},
      element("div.view", {}, this.stages, this.readout),
      element("div.panel", {}, this.note, this.classes, this.buildControls()),
    );
  }

  buildControls() {
    const alpha = () => this.slider.valueAsNumber / 100;
    this.slider = element("input", {
      type: "range",
      min: 0,
      max: 100,
      value: 50,
      input: () => this.change({ alpha: alpha() }),
    });
    this.published = element("input", {
      type: "checkbox",
      checked: true,
      change: () => this.change({ alpha: this.published.checked ? null : alpha() }),
    });
    this.opacity = element("span", { "aria-hidden": "true" });
    const names = Object.keys(this.colors).filter((name) => name !== PUBLISHED_COLORS.matlab);
    const colors = selectBox(
      "Colours",
      [[PUBLISHED, "as published"], ...names.map((name) => [name, name])],
      (colorMap) => this.change({ colorMap }),
    );
    const size = selectBox(
      "Size",
      [["picture", "picture"], ["frame", "frame, as published"]],
      (value) => this.change({ wantsFrame: value === "frame" }),
    );
    this.wantsBoxes = element("input", {
      type: "checkbox",
      change: () => this.change({ boxes: this.wantsBoxes.checked }),
    });
    const opacity = element("span", {}, "Opacity of the heat ", this.opacity);
    return element(
      "div.controls",
      {},
      element("label.field", {}, opacity, this.slider),
      element("label.check", {}, this.published, "Mixed as published: 0.2 picture + 0.7 heat"),
      colors.node,
      size.node,
      element("label.check", {}, this.wantsBoxes, "Boxes"),
    );
  }

  /** Draw otherwise, and tell who wants to know. */
  change(changes) {
    this.set(changes);
    this.changed(changes);
  }

  /** Draw otherwise; resolves when it is drawn. */
  async set(changes) {
    Object.assign(this.state, changes);
    if (!this.payload) return;
    if ("chosen" in changes || "wantsFrame" in changes) await this.refresh();
    else this.draw();
  }

  /** Show a picture; resolves when it is drawn. */
  async show(payload, chosen = 0) {
    this.payload = { ...payload, decoded: payload.maps ? decodeMaps(payload.maps) : null };
    this.state.chosen = chosen;
    this.listClasses();
    this.sayWhatIsMissing();
    await this.refresh();
  }

  sayWhatIsMissing() {
    const { maps, decoded, frame } = this.payload;
    const notes = [];
    if (!frame) notes.push("The picture's file was not found; grey stands in its place.");
    if (!maps) {
      notes.push("No raw maps were kept of it: run cam batch with --save maps to see heat.");
    } else if (!decoded.values.every(Number.isFinite)) {
      notes.push("Some values of its maps are no numbers; they have the first colour.");
    }
    this.note.textContent = notes.join(" ");
    this.note.hidden = !notes.length;
  }

  listClasses() {
    this.classes.replaceChildren(
      element("legend", {}, "Class"),
      ...this.payload.classes.map((one, k) =>
        element(
          "label.class",
          { title: one.name },
          element("input", {
            type: "radio",
            name: this.group,
            value: k,
            checked: k === this.state.chosen,
            change: () => this.change({ chosen: k }),
          }),
          element("span.bar", {}, element("span.fill")),
          named(shortName(one.name)),
          element("span.share", {}, percent(one.probability)),
        ),
      ),
    );
    this.payload.classes.forEach((one, k) => {
      const fill = this.classes.querySelectorAll(".fill")[k];
      fill.style.width = `${100 * (one.probability ?? 0)}%`;
    });
  }

  /** Show the class of a rank, from 0, if there is one. */
  choose(chosen) {
    const radio = this.classes.querySelectorAll("input")[chosen];
    if (!radio) return;
    radio.checked = true;
    this.change({ chosen });
  }

  /** Draw the picture and its map anew. */
  async refresh() {
    const { payload } = this;
    const { chosen, wantsFrame } = this.state;
    this.showing += 1;
    const turn = this.showing;
    this.node.dataset.state = "drawing";
    const frame = payload.frame_size;
    const [rows, columns] = wantsFrame ? [frame, frame] : drawnSize(payload);
    const canvas = element("canvas");
    const pixels = await drawPicture(canvas, payload, rows, columns, wantsFrame);
    if (turn !== this.showing) return;
    this.pixels = pixels;
    this.size = [rows, columns];
    this.plane = null;
    if (payload.decoded) {
      this.plane = wantsFrame
        ? mergedMap(payload, chosen)
        : pictureMap(payload, chosen, rows, columns);
      this.levels = levelsOf(payload.style, this.plane);
    }
    this.draw();
    this.node.dataset.state = "drawn";
  }

  draw() {
    const [rows, columns] = this.size;
    const { style } = this.payload;
    const { alpha, chosen, colorMap } = this.state;
    this.canvas.width = columns;
    this.canvas.height = rows;
    this.sheet.style.setProperty("--ratio", columns / rows);
    const name = colorMap === PUBLISHED ? PUBLISHED_COLORS[style] : colorMap;
    const mixed = this.plane
      ? overlay(style, this.pixels, this.levels, this.colors[name], alpha)
      : this.pixels;
    const image = new ImageData(new Uint8ClampedArray(mixed), columns, rows);
    this.canvas.getContext("2d").putImageData(image, 0, 0);
    const shown = this.payload.classes[chosen];
    const label = `${this.payload.name}: ${shown ? shown.name : "no class"}`;
    this.canvas.setAttribute("aria-label", label);
    this.published.checked = alpha === null;
    this.opacity.textContent = alpha === null ? "" : percent(alpha);
    this.drawBoxes();
  }

  drawBoxes() {
    const { rows, columns, classes } = this.payload;
    this.boxes.setAttribute("viewBox", `0 0 ${columns} ${rows}`);
    this.boxes.replaceChildren();
    if (!this.state.boxes) return;
    for (const [x, y, width, height] of classes[this.state.chosen]?.boxes ?? []) {
      const rectangle = document.createElementNS(SVG, "rect");
      const sides = {
        x: Math.min(x, x + width),
        y: Math.min(y, y + height),
        width: Math.abs(width),
        height: Math.abs(height),
      };
      for (const [side, value] of Object.entries(sides)) rectangle.setAttribute(side, value);
      this.boxes.append(rectangle);
    }
  }

  say(text) {
    this.readout.textContent = text;
  }

  readValue(event) {
    if (!this.plane) return;
    const { left, top, width, height } = this.sheet.getBoundingClientRect();
    const across = (event.clientX - left) / width;
    const down = (event.clientY - top) / height;
    if (across < 0 || across >= 1 || down < 0 || down >= 1) return;
    const [rows, columns] = this.size;
    const value = this.plane.values[Math.floor(down * rows) * columns + Math.floor(across * columns)];
    const heat = heatScale(this.payload.style, this.plane)(value);
    const place = this.state.wantsFrame ? [rows, columns] : [this.payload.rows, this.payload.columns];
    const [y, x] = [Math.floor(down * place[0]), Math.floor(across * place[1])];
    const seen = Number.isFinite(value);
    const said = seen ? `map ${value.toPrecision(4)}   heat ${heat.toFixed(3)}` : "no value";
    this.say(`x ${x}, y ${y}   ${said}`);
  }
}

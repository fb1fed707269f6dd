/** The live page: a picture is dropped, the server explains it, and it is looked at as in a report. */

import { element, named, selectBox, shortName } from "./elements.js";
import { colorTables } from "./maps.js";
import { Refusal, compare, explain, exportFile, findClasses } from "./service.js";
import { listColorMaps, listModels } from "./service.js";
import { Viewer } from "./viewer.js";

const BOTH = "both";
const STYLES = [
  ["pycaffe", "one center crop (pycaffe)"],
  ["matlab", "ten crops (matlab)"],
  [BOTH, "both, side by side"],
];
const PLACEMENTS = [["stretch", "over the whole picture"], ["crop", "where the crop was"]];
const FOUND = 12;
const PAUSE = 150;
const LONGEST_NAME = 200;

class Live {
  constructor({ models }, colors) {
    this.models = models;
    this.wanted = { style: "pycaffe", placement: "stretch", classes: [] };
    this.wanted.model = models.find((model) => model.default).name;
    this.second = new Viewer(colors);
    this.first = new Viewer(colors, (changes) => this.second.set(changes));
    this.build();
    this.listen();
  }

  build() {
    this.said = element("p.count", { role: "status" });
    this.alert = element("p.alert", { role: "alert", hidden: true });
    this.results = element(
      "div.results",
      { hidden: true },
      this.first.node,
      this.actions(),
    );
    this.first.stages.append(this.second.stage);
    this.second.stage.hidden = true;
    this.first.caption.textContent = "one center crop";
    this.second.caption.textContent = "ten crops";
    document.body.prepend(
      element("header", {}, element("h1", {}, "Class activation maps")),
      element("main", {}, this.tools(), this.dropZone(), this.alert, this.said, this.results),
    );
  }

  tools() {
    const models = this.models.map(({ name, available }) => [
      name,
      available ? name : `${name} (not here)`,
    ]);
    const change = (key) => (value) => this.want({ [key]: value });
    const model = selectBox("Model", models, (name) => {
      this.chosen.replaceChildren();
      this.want({ model: name, classes: [] });
    });
    model.select.value = this.wanted.model;
    [...model.select.options].forEach((option, k) => {
      option.disabled = !this.models[k].available;
      option.title = this.models[k].note;
    });
    const style = selectBox("Style", STYLES, change("style"));
    this.placement = selectBox("The crop's map lies", PLACEMENTS, change("placement"));
    return element(
      "form.tools",
      { submit: (event) => event.preventDefault() },
      model.node,
      style.node,
      this.placement.node,
      this.classSearch(),
    );
  }

  classSearch() {
    this.found = element("ul.found", { hidden: true, "aria-label": "Classes found" });
    this.chosen = element("span.chips");
    this.search = element("input", {
      type: "search",
      placeholder: "any class, by name",
      autocomplete: "off",
      input: () => this.searchSoon(),
      keydown: (event) => {
        if (event.key === "Enter") this.found.querySelector("button")?.click();
        if (event.key === "Escape") this.found.hidden = true;
      },
    });
    const label = element("label.field", {}, element("span", {}, "Class"), this.search);
    return element("div.search", {}, label, this.found, this.chosen);
  }

  searchSoon() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.guarded(() => this.searchClasses()), PAUSE);
  }

  async searchClasses() {
    const text = this.search.value.trim();
    this.searching?.abort();
    this.searching = new AbortController();
    const { signal } = this.searching;
    const found = text ? await findClasses(this.wanted.model, text, FOUND, signal) : [];
    const entry = (one) =>
      element(
        "li",
        {},
        element("button", { type: "button", click: () => this.addClass(one) }, named(one.name)),
      );
    this.found.replaceChildren(...found.map(entry));
    if (text && !found.length) this.found.append(element("li", {}, "no class of that name"));
    this.found.hidden = !text;
  }

  addClass({ index, name }) {
    this.found.hidden = true;
    this.search.value = "";
    if (this.wanted.classes.includes(index)) return;
    const remove = () => {
      chip.remove();
      this.want({ classes: this.wanted.classes.filter((each) => each !== index) });
    };
    const label = `Remove ${shortName(name)}`;
    const chip = element(
      "button.chip",
      { type: "button", "aria-label": label, click: remove },
      named(shortName(name)),
      " ✕",
    );
    this.chosen.append(chip);
    this.want({ classes: [...this.wanted.classes, index] });
  }

  dropZone() {
    const input = element("input", {
      type: "file",
      accept: "image/*",
      change: () => this.take([...input.files]),
    });
    return element(
      "label.drop",
      {},
      element("strong", {}, "Drop, paste or choose a picture"),
      element("span", {}, "It is explained by the server and kept nowhere."),
      input,
    );
  }

  actions() {
    const save = (text, format) =>
      element(
        "button",
        { type: "button", click: () => this.guarded(() => this.download(format)) },
        text,
      );
    const overlay = () => this.first.canvas.toBlob((blob) => saveFile(blob, `${this.stem()}.png`));
    const input = element("input", {
      type: "file",
      accept: ".mat,image/*",
      change: () => this.guarded(() => this.compareWith(input.files[0])),
    });
    this.comparison = element("div.scroll", { hidden: true, tabindex: 0, role: "region" });
    this.comparison.setAttribute("aria-label", "Comparison");
    return element(
      "div.actions",
      {},
      element("button", { type: "button", click: overlay }, "Save the overlay, .png"),
      save("Save the arrays, .npz", "npz"),
      save("Save features for MATLAB, .mat", "mat"),
      element(
        "label.field",
        {},
        element("span", {}, "Compare with MATLAB's result.jpg or .mat (or drop it)"),
        input,
      ),
      this.comparison,
    );
  }

  listen() {
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      this.take([...event.dataTransfer.files]);
    });
    document.addEventListener("paste", (event) => {
      const files = [...event.clipboardData.files];
      if (files.length) this.take(files);
    });
    document.addEventListener("keydown", (event) => {
      const isText = event.target.type === "search";
      if (/^[1-9]$/.test(event.key) && !isText) this.first.choose(Number(event.key) - 1);
    });
  }

  /** Take files that were dropped: a picture to explain, or a result to compare it with. */
  take(files) {
    const isResult = (file) => file.name.endsWith(".mat") || file.name === "result.jpg";
    const picture = files.find((file) => !isResult(file)) ?? (this.picture ? null : files[0]);
    const result = files.find((file) => file !== picture && isResult(file));
    this.guarded(async () => {
      if (picture) await this.open(picture);
      if (result) await this.compareWith(result);
    });
  }

  async open(picture) {
    this.picture = picture;
    URL.revokeObjectURL(this.address);
    this.address = URL.createObjectURL(picture);
    await this.update();
  }

  want(changes) {
    Object.assign(this.wanted, changes);
    this.placement.select.disabled = this.wanted.style === "matlab";
    this.guarded(() => this.update());
  }

  /** The question for a style, of which the second one of two shows the first one's classes. */
  question(style, classes = this.wanted.classes) {
    const name = (this.picture.name || "picture").slice(0, LONGEST_NAME);
    return { ...this.wanted, style, classes, name };
  }

  async update() {
    if (!this.picture) return;
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const isDouble = this.wanted.style === BOTH;
    this.said.textContent = "Explaining …";
    this.comparison.hidden = true;
    const first = await explain(this.picture, this.question(this.style()), signal);
    const classes = first.classes.map(({ index }) => index);
    const second = isDouble
      ? await explain(this.picture, this.question("matlab", classes), signal)
      : null;
    const picture = await this.ownPicture();
    this.results.hidden = false;
    this.second.stage.hidden = !isDouble;
    this.first.caption.hidden = this.second.caption.hidden = !isDouble;
    await this.first.show({ ...first, picture });
    if (second) await this.second.show({ ...second, picture });
    const { model, engine, device } = first.record;
    this.said.textContent = `${first.name}: ${model}, ${engine} on ${device}`;
  }

  style() {
    return this.wanted.style === BOTH ? "pycaffe" : this.wanted.style;
  }

  /** The picture's address, if the browser can show it; the frame stands in for it otherwise. */
  async ownPicture() {
    const image = new Image();
    image.src = this.address;
    return image.decode().then(
      () => this.address,
      () => undefined,
    );
  }

  stem() {
    return (this.picture.name || "picture").replace(/\.\w+$/, "");
  }

  async download(format) {
    const file = await exportFile(this.picture, this.question(this.style()), format);
    saveFile(file, `${this.stem()}.${format}`);
  }

  async compareWith(result) {
    if (!result) return;
    if (!this.picture) throw new Refusal("Drop the picture first, then MATLAB's result of it.");
    const said = await compare(this.picture, result, this.question("matlab", []));
    this.comparison.replaceChildren(...comparisonOf(said, result.name));
    this.comparison.hidden = false;
  }

  /** Do something; say in one line what went wrong. */
  async guarded(work) {
    this.alert.hidden = true;
    try {
      await work();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.said.textContent = "";
      this.alert.textContent = error instanceof Refusal ? error.message : `${error}`;
      this.alert.hidden = false;
    }
  }
}

function saveFile(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function cellText(value) {
  if (typeof value === "number" && !Number.isInteger(value)) return value.toPrecision(3);
  return value === null ? "–" : `${value}`;
}

/** A comparison as a verdict, a table of quantities, and notes. */
function comparisonOf({ within, quantities, notes }, name) {
  const verdict = within ? "within the tolerance" : "outside the tolerance";
  const plain = (row) => Object.entries(row).filter(([, value]) => typeof value !== "object");
  const columns = [...new Set(quantities.flatMap((row) => plain(row).map(([key]) => key)))];
  const head = columns.map((key) => element("th", {}, key.replaceAll("_", " ")));
  const rows = quantities.map((row) =>
    element("tr", {}, ...columns.map((key) => element("td", {}, cellText(row[key] ?? null)))),
  );
  return [
    element("p", {}, named(name), `: ${verdict}`),
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows),
    ),
    ...notes.map((note) => element("p", {}, note)),
  ];
}

try {
  const [models, colors] = await Promise.all([listModels(), listColorMaps()]);
  new Live(models, colorTables(colors));
} catch (error) {
  document.body.prepend(element("main", {}, element("p.alert", { role: "alert" }, error.message)));
}

/** The report: pictures to look through, to search, to sort, and to open large. */

import { element, named, percent, selectBox, shortName } from "./elements.js";
import { colorTables } from "./maps.js";
import { Viewer, drawThumbnail } from "./viewer.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);

const SHOWN = {
  all: ["all", () => true],
  wrong: ["wrong", (picture) => picture.wrong],
  right: ["right", (picture) => picture.label && picture.top && !picture.wrong],
  failed: ["failed", (picture) => picture.status === "failed"],
};

const probability = (picture, unknown) => picture.top?.probability ?? unknown;
const byText = (text) => (one, other) => text(one).localeCompare(text(other));

const SORTED = {
  list: ["in the list's order", (one, other) => one.number - other.number],
  unsure: ["least sure first", (one, other) => probability(one, 2) - probability(other, 2)],
  sure: ["most sure first", (one, other) => probability(other, -1) - probability(one, -1)],
  name: ["by name", byText((picture) => picture.name)],
  class: ["by class", byText((picture) => (picture.top ? shortName(picture.top.name) : "\uffff"))],
};

/** Everything of a picture that a text is looked for in. */
function searched({ name, label, top, reason, classes }) {
  const parts = [name, label?.name, top?.name, reason, ...(classes ?? [])];
  return parts.filter(Boolean).join("\n").toLowerCase();
}

/** The folder that all names begin with, which cards need not repeat. */
function commonFolder(names) {
  let folder = names[0].slice(0, names[0].lastIndexOf("/") + 1);
  while (!names.every((name) => name.startsWith(folder))) {
    folder = folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1);
  }
  return folder;
}

class Report {
  constructor() {
    this.report = read("report");
    this.colors = colorTables(read("colormaps"));
    this.pictures = this.report.pictures.map((picture, number) => ({ ...picture, number }));
    for (const picture of this.pictures) picture.searched = searched(picture);
    this.folder = commonFolder(this.pictures.map(({ name }) => name));
    this.wanted = { shown: "all", sorted: "list", text: "", class: "", pair: null };
    this.waiting = new Set();
    this.watch = new IntersectionObserver((seen) => this.see(seen), { rootMargin: "400px" });
    this.build();
    this.arrange();
    document.addEventListener("keydown", (event) => this.key(event));
  }

  build() {
    this.count = element("p.count", { role: "status" });
    this.grid = element("ul.grid", { "aria-label": "Pictures" });
    this.cards = this.pictures.map((picture) => this.card(picture));
    this.dialog = this.buildDialog();
    const main = element("main", {}, this.tools(), this.count, this.grid);
    document.body.prepend(this.header(), main, this.dialog);
  }

  header() {
    const { title, sources, notes: own, page } = this.report;
    const lines = sources.flatMap((source) => source.lines.map((line) => element("p", {}, line)));
    const notes = [...sources.flatMap((source) => source.notes), ...own];
    return element(
      "header",
      {},
      element("h1", {}, named(title)),
      ...lines,
      ...notes.map((note) => element("p.note", {}, note)),
      page ? this.pages(page) : null,
      element("div.folds", {}, this.confusions(), this.record()),
    );
  }

  pages({ number, previous, overview, next }) {
    const links = [[previous, "previous page"], [overview, "all pages"], [next, "next page"]];
    return element(
      "nav.pages",
      { "aria-label": "Pages" },
      `Page ${number}`,
      ...links.filter(([href]) => href).map(([href, text]) => element("a", { href }, text)),
    );
  }

  confusions() {
    const pairs = new Map();
    for (const { wrong, label, top } of this.pictures) {
      if (!wrong) continue;
      const key = `${label.index} ${top.index}`;
      const pair = pairs.get(key) ?? { key, label, top, count: 0 };
      pairs.set(key, { ...pair, count: pair.count + 1 });
    }
    if (!pairs.size) return null;
    const rows = [...pairs.values()].sort((one, other) => other.count - one.count);
    const head = ["Label", "Taken for", "Pictures"].map((text) => element("th", {}, text));
    return element(
      "details",
      {},
      element("summary", {}, `Confused classes (${rows.length})`),
      element(
        "div.scroll",
        { tabindex: 0, role: "region", "aria-label": "Confused classes" },
        element(
          "table",
          {},
          element("thead", {}, element("tr", {}, ...head)),
          element("tbody", {}, ...rows.map((pair) => this.pairRow(pair))),
        ),
      ),
    );
  }

  pairRow(pair) {
    const show = () => this.want({ pair });
    return element(
      "tr",
      {},
      element("td", {}, named(shortName(pair.label.name))),
      element("td", {}, named(shortName(pair.top.name))),
      element("td", {}, element("button.link", { click: show }, `show ${pair.count}`)),
    );
  }

  record() {
    const texts = this.report.sources.map(({ name, record }) =>
      element(
        "pre",
        { tabindex: 0, "aria-label": `Record of ${name}` },
        JSON.stringify(record, null, 2),
      ),
    );
    return element("details", {}, element("summary", {}, "How this was made"), ...texts);
  }

  tools() {
    this.search = element("input", {
      type: "search",
      placeholder: "name or class",
      input: () => this.want({ text: this.search.value.trim().toLowerCase() }),
    });
    const options = (table) =>
      Object.entries(table)
        .filter(([, [, test]]) => table === SORTED || this.pictures.some(test))
        .map(([key, [text]]) => [key, text]);
    this.selects = {
      shown: selectBox("Show", options(SHOWN), (shown) => this.want({ shown })),
      class: selectBox("Class", this.classOptions(), (name) => this.want({ class: name })),
      sorted: selectBox("Sorted", options(SORTED), (sorted) => this.want({ sorted })),
    };
    this.chip = element("button.chip", { hidden: true, click: () => this.want({ pair: null }) });
    return element(
      "form.tools",
      { role: "search", submit: (event) => event.preventDefault() },
      element("label.field", {}, element("span", {}, "Find"), this.search),
      ...Object.values(this.selects).map(({ node }) => node),
      this.chip,
    );
  }

  classOptions() {
    const counts = new Map();
    for (const { top, label } of this.pictures) {
      const names = new Set([top, label].filter(Boolean).map(({ name }) => name));
      for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const sorted = [...counts].sort(byText(([name]) => shortName(name)));
    return [["", "any"], ...sorted.map(([name, n]) => [name, `${shortName(name)} (${n})`])];
  }

  card(picture) {
    const { name, top, label, wrong, status, reason, rows, columns } = picture;
    const canvas = element("canvas", { width: 1, height: 1, "aria-hidden": "true" });
    canvas.style.setProperty("--ratio", columns && rows ? columns / rows : 1);
    canvas.classList.toggle("wide", columns > rows);
    const said =
      status === "failed"
        ? [element("span.reason", {}, reason)]
        : [
            element("span.top", {}, named(shortName(top.name)), element("span", {}, percent(top.probability))),
            wrong ? element("span.label", {}, "labelled ", named(shortName(label.name))) : null,
          ];
    const button = element(
      "button.card",
      { type: "button", click: () => this.open(picture) },
      element("span.thumbnail", {}, status === "failed" ? "no picture" : canvas),
      element("bdi", { title: name }, name.slice(this.folder.length)),
      ...said,
    );
    const card = element("li", {}, button);
    card.picture = picture;
    button.classList.toggle("wrong", Boolean(wrong));
    button.classList.toggle("failed", status === "failed");
    if (status !== "failed") this.watch.observe(card);
    return card;
  }

  /** Thumbnails are drawn when they come near, and forgotten when they go. */
  see(seen) {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) this.waiting.add(target);
      else {
        this.waiting.delete(target);
        const canvas = target.querySelector("canvas");
        canvas.width = canvas.height = 1;
      }
    }
    if (!this.isDrawing) this.drawWaiting();
  }

  async drawWaiting() {
    this.isDrawing = true;
    for (const card of this.waiting) {
      this.waiting.delete(card);
      await drawThumbnail(card.querySelector("canvas"), this.payload(card.picture), this.colors);
      await new Promise((resolve) => setTimeout(resolve));
    }
    this.isDrawing = false;
  }

  payload(picture) {
    return read(`picture-${picture.number}`);
  }

  want(changes) {
    Object.assign(this.wanted, changes);
    this.arrange();
  }

  /** Show the pictures that are wanted, in the order that is wanted. */
  arrange() {
    const { shown, sorted, text, class: name, pair } = this.wanted;
    const isWanted = (picture) =>
      SHOWN[shown][1](picture) &&
      picture.searched.includes(text) &&
      (!name || picture.top?.name === name || picture.label?.name === name) &&
      (!pair ||
        (picture.wrong &&
          picture.label.index === pair.label.index &&
          picture.top.index === pair.top.index));
    const compare = SORTED[sorted][1];
    const cards = this.cards
      .filter((card) => isWanted(card.picture))
      .sort((one, other) => compare(one.picture, other.picture));
    this.visible = cards;
    this.grid.replaceChildren(...cards);
    const all = this.pictures.length;
    this.count.textContent =
      cards.length === all ? `${all} pictures` : `${cards.length} of ${all} pictures`;
    this.chip.hidden = !pair;
    this.chip.textContent = pair
      ? `${shortName(pair.label.name)} taken for ${shortName(pair.top.name)} ✕`
      : "";
  }

  buildDialog() {
    this.viewer = new Viewer(this.colors);
    this.name = element("h2", { id: "shown-name" });
    this.said = element("p.said");
    const step = (text, label, by) =>
      element("button", { type: "button", "aria-label": label, click: () => this.step(by) }, text);
    const close = element(
      "button",
      { type: "button", "aria-label": "Close", click: () => this.dialog.close() },
      "✕",
    );
    return element(
      "dialog",
      { "aria-labelledby": "shown-name", close: () => this.closed() },
      element(
        "div.head",
        {},
        element("div.title", {}, this.name, this.said),
        step("‹", "Previous picture", -1),
        step("›", "Next picture", 1),
        close,
      ),
      this.viewer.node,
      element("p.keys", {}, "← → pictures   1–9 classes   Esc closes"),
    );
  }

  open(picture) {
    this.shown = picture;
    const { name, label, top, wrong, status, reason } = picture;
    this.name.replaceChildren(named(name));
    const failed = status === "failed";
    this.viewer.node.hidden = failed;
    const verdict = label ? `labelled ${shortName(label.name)}${wrong ? ", wrong" : ", right"}` : "";
    this.said.textContent = failed ? reason : verdict;
    this.said.classList.toggle("wrong", Boolean(wrong || failed));
    if (!this.dialog.open) this.dialog.showModal();
    return failed || !top ? null : this.viewer.show(this.payload(picture));
  }

  step(by) {
    const pictures = this.visible.map((card) => card.picture);
    const next = pictures[pictures.indexOf(this.shown) + by];
    if (next) this.open(next);
  }

  closed() {
    this.cards[this.shown.number].querySelector("button").focus();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: -1, ArrowRight: 1 };
    const { target } = event;
    if (this.dialog.open) {
      const isSlider = target.type === "range" || target.tagName === "SELECT";
      if (event.key in moves && !isSlider) {
        event.preventDefault();
        this.step(moves[event.key]);
      } else if (/^[1-9]$/.test(event.key)) this.viewer.choose(Number(event.key) - 1);
    } else if (event.key === "/" && target !== this.search) {
      event.preventDefault();
      this.search.focus();
    } else if (event.key in moves && target.classList?.contains("card")) {
      const at = this.visible.indexOf(target.parentNode) + moves[event.key];
      this.visible[at]?.querySelector("button").focus();
    }
  }
}

new Report();

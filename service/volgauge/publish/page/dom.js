// The few things that are done to the document. Nothing is written that has not changed, so a page
// that is open all day causes no layout and no garbage while the market is quiet.
export const $ = (id) => document.getElementById(id);

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

export function press(buttons, isPressed) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(isPressed(button)));
}

// How many children a list has, kept by adding and taking at its end.
export function resize(parent, count, make) {
  while (parent.childElementCount > count) parent.lastElementChild.remove();
  while (parent.childElementCount < count) parent.append(make());
}

const element = (tag) => () => document.createElement(tag);

// A row is {cells, cls, title} or a list of cells; a cell is a text or
// {t: text, c: class, title, heat: 0..1, tone: -1..1, bar: 0..1, split: [a, b]}.
export function fill(body, rows) {
  resize(body, rows.length, element("tr"));
  rows.forEach((given, at) => {
    const row = Array.isArray(given) ? { cells: given } : given;
    const line = body.children[at];
    setClass(line, row.cls ?? "");
    attribute(line, "title", row.title);
    if (line.childElementCount !== row.cells.length) {
      line.replaceChildren(...row.cells.map((_, place) => document.createElement(place ? "td" : "th")));
      line.firstElementChild?.setAttribute("scope", "row");
    }
    row.cells.forEach((cell, place) => fillCell(line.children[place], cell));
  });
}

function fillCell(node, given) {
  const cell = typeof given === "object" ? given : { t: given };
  setClass(node, cell.c ?? "");
  attribute(node, "title", cell.title);
  property(node, "--heat", cell.heat);
  property(node, "--tone", cell.tone);
  if (cell.bar === undefined && cell.split === undefined) return put(node, cell.t);
  if (node.childElementCount !== 2 || node.firstElementChild.className !== "track") {
    const track = document.createElement("span");
    track.className = "track";
    track.append(document.createElement("i"), document.createElement("i"));
    node.replaceChildren(track, document.createElement("span"));
  }
  const [first, second] = node.firstElementChild.children;
  const widths = cell.split ?? [cell.bar, 0];
  property(first, "--share", widths[0]);
  property(second, "--share", widths[1]);
  put(node.lastElementChild, cell.t);
}

function attribute(node, name, value) {
  if (value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// Through the style object, which a strict content policy allows.
function property(node, name, value) {
  if (value === undefined || value === null) {
    if (node.style.length) node.style.removeProperty(name);
    return;
  }
  const text = String(Math.round(value * 1000) / 1000);
  if (node.style.getPropertyValue(name) !== text) node.style.setProperty(name, text);
}

// A list of readings: [label, text, {c, title}]. The nodes stay.
export function readings(list, rows) {
  resize(list, rows.length, () => {
    const box = document.createElement("div");
    box.append(document.createElement("dt"), document.createElement("dd"));
    return box;
  });
  rows.forEach(([label, text, more = {}], at) => {
    const box = list.children[at];
    put(box.firstElementChild, label);
    put(box.lastElementChild, text);
    setClass(box.lastElementChild, more.c ?? (text === "–" ? "none" : ""));
    attribute(box, "title", more.title);
  });
}

// A feed of lines: {t, c, title}.
export function feed(list, lines) {
  resize(list, lines.length, element("li"));
  lines.forEach((line, at) => {
    const node = list.children[at];
    put(node, line.t);
    setClass(node, line.c ?? "");
    attribute(node, "title", line.title);
  });
}

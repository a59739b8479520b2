// The underlyings as tabs, each with its number: the whole market at a glance.
import { $, put, resize, setClass } from "./dom.js";
import { points } from "./format.js";
import { markTabs, startTabs } from "./keys.js";
import { isOld, model } from "./model.js";

let choose = () => {};

export function startAssets(chosen) {
  choose = chosen;
  startTabs($("assets"), (tab) => choose(tab.dataset.asset));
}

export function step(by) {
  const { assets, asset } = model;
  if (assets.length) choose(assets[(assets.indexOf(asset) + by + assets.length) % assets.length]);
}

export function drawTabs(isLost) {
  const list = $("assets");
  const known = list.childElementCount;
  resize(list, model.assets.length, makeTab);
  model.assets.forEach((asset, at) => {
    const tab = list.children[at];
    const record = model.index.get(asset);
    tab.dataset.asset = asset;
    put(tab.children[0], asset);
    put(tab.children[1], points(record.value));
    setClass(tab, isOld(record) || isLost ? "old" : record.status === "OK" ? "" : "doubtful");
    const title = `${asset}: ${isLost ? "connection lost" : record.status}`;
    if (tab.title !== title) tab.title = title;
  });
  if (known !== model.assets.length || list.dataset.chosen !== model.asset) {
    list.dataset.chosen = model.asset;
    markTabs(list, (tab) => tab.dataset.asset === model.asset);
  }
}

function makeTab() {
  const tab = document.createElement("button");
  tab.type = "button";
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", "main");
  tab.append(document.createElement("b"), document.createElement("span"));
  return tab;
}

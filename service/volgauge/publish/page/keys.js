// The keyboard: every key that the help lists, nowhere a key that a text field or a list needs.
import { $ } from "./dom.js";

export function startKeys(actions) {
  const help = $("help");
  $("help-open").addEventListener("click", () => help.showModal());
  $("help-close").addEventListener("click", () => help.close());
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (help.open || event.target.closest("select, input, textarea")) return;
    // Lists of tabs and the chart use the arrows for themselves.
    if (event.key.startsWith("Arrow") && event.target.closest("[role=tablist], [role=application]")) return;
    if (event.key === "?") help.showModal();
    else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
  });
}

// Arrow keys, Home and End inside a list of tabs; one of them is in the order of Tab.
export function startTabs(list, choose) {
  list.addEventListener("keydown", (event) => {
    const tabs = [...list.querySelectorAll("[role=tab]")];
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || !tabs.length) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    choose(tab);
    tab.focus();
  });
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab);
  });
}

export function markTabs(list, isChosen) {
  for (const tab of list.querySelectorAll("[role=tab]")) {
    tab.setAttribute("aria-selected", String(isChosen(tab)));
    tab.tabIndex = isChosen(tab) ? 0 : -1;
  }
}

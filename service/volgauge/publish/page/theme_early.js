// Before the first paint: the theme that was chosen last. A plain script, so that nothing flashes.
try {
  const chosen = localStorage.getItem("volgauge.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is forbidden: the system's theme it is.
}

// Runs before anything is drawn, so that a page does not flash in the other theme.
"use strict";
(function () {
  let saved = null;
  try {
    saved = localStorage.getItem("gssl-theme");
  } catch {
    // Storage can be switched off; the system's theme is used then.
  }
  if (saved === "dark" || saved === "light") {
    document.documentElement.dataset.theme = saved;
  }
})();

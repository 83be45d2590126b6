"use strict";
// The drawers of small screens, which Furo opens with checkboxes: the keyboard goes into one that
// opens, and Escape closes it.

/** @type {Array<[string, string]>} */
const DRAWERS = [["__navigation", ".sidebar-drawer"], ["__toc", ".toc-drawer"]];

for (const [id, drawer] of DRAWERS) {
  const toggle = document.getElementById(id);
  if (!(toggle instanceof HTMLInputElement)) continue;
  toggle.addEventListener("change", () => {
    /** @type {NodeListOf<HTMLElement>} */
    const links = document.querySelectorAll(`${drawer} a`);
    // The first one may be the page's own title, which Furo does not show.
    if (toggle.checked) [...links].find((link) => link.getClientRects().length)?.focus();
  });
  document.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !toggle.checked) return;
    toggle.checked = false;
    toggle.focus();
  });
}

// Blocks of code and tables that scroll can be reached, and scrolled, by the keyboard.
const widths = new ResizeObserver(seen => {
  for (const {target} of seen)
    target.scrollWidth > target.clientWidth ? target.tabIndex = 0 : target.removeAttribute("tabindex");
});
for (const block of document.querySelectorAll(".md-typeset pre > code, .md-typeset__scrollwrap, .md-typeset table.formula"))
  widths.observe(block);
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");

// Blocks of code and tables that scroll can be reached, and scrolled, by the keyboard.
for (const block of document.querySelectorAll(".md-typeset pre > code, .md-typeset__scrollwrap")) {
  if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
}

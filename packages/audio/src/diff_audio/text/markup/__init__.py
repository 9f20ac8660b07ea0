"""The markup of texts: Markdown, HTML, mail, brackets and SSML, turned into a plain script."""

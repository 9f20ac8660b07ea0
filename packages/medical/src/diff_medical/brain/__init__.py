"""Synthetic T1 volumes of the brain with their label maps, in five stages.

    p(scan, labels) = p(fractions at 12 mm) p(fractions at 6 mm | 12 mm)
                      p(fractions at 3 mm | 6 mm) p(labels at 1.5 mm | 3 mm) p(scan | labels)

`anatomy`, `lobes` and `folds` (both in `folds`), `borders` and `appearance` are the factors.
`model` draws from all of them, `training` fits them to people, and `preparation` makes label maps
of scans.
"""

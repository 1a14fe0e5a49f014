# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages: hand-written texts in docs/man/ with places for what the code itself says.

    docs/man/stapwatch.yaml.5.scd    `{{default budgets.cpu}}`   ->  5 %
    docs/man/stapwatch-metrics.7.scd `{{metrics}}`               ->  every family, its type, labels and help

    python -m manual build/man       ->  build/man/stapwatch.1, build/man/stapwatch-run.1, ...

What the code knows (options, defaults, forms of probe points, functions, metrics, losses, limits) is never
written down a second time: `places.PLACES` fills it in. What a reader needs besides is written by hand, and
tests/manual/ holds it against the code. A subcommand's page is made of its parser, and of
docs/man/COMMAND.scd if there is such a file. The texts are in scdoc's format: scdoc(5).
"""

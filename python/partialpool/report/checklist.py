"""Where to find each item of the LEVEL checklist for reports of multilevel analyses.

Monsalves, Bangdiwala, Thabane & Bangdiwala (2020), "LEVEL (Logical Explanations & Visualizations of
Estimates in Linear mixed models)", BMC Medical Research Methodology 20:3.
"""

from __future__ import annotations

from partialpool.report.markup import Head, Html, element, table

# Items in our words, with the number that they have in the checklist, and the section that has
# them; without one, they are for the authors to say.
ITEMS = (
    ("1", "That the data are hierarchical, which levels there are, which slopes vary", "data"),
    ("2", "Why the study is hierarchical and the analysis multilevel", ""),
    ("3", "At what level response and predictors are measured", "data"),
    ("4", "A diagram or table of the levels", "data"),
    ("5a", "Number of members of each level", "data"),
    ("5a", "Eligibility and selection of the members", ""),
    ("5b", "Follow-up and spacing of repeated measures", ""),
    ("5c", "Missing data, and imbalance of members across levels", "data"),
    ("6a", "The model's equation, with group terms and distributions", "model"),
    ("6b", "Variables, and the level that they belong to", "data"),
    ("7", "Sample size; intraclass correlation (variance partition) at each level", "variance"),
    ("8", "Estimation: method, priors, engine, convergence", "methods"),
    ("8", "Software and versions", "reproduce"),
    ("–", "Population effects with intervals", "estimates"),
    ("–", "Variances, sds and correlations of levels with intervals", "estimates"),
    ("–", "Estimates of levels, shown and listed", "groups"),
    ("–", "Model checks and sensitivity", "checks"),
)


def checklist(titles: dict[str, str]) -> Html:
    """Give the table; `titles` by section say which there are."""
    rows = []
    for number, item, section in ITEMS:
        where = element("a", titles[section], href=f"#{section}") if section in titles else None
        said = where or (
            "for the authors to say" if not section else "not in this report: no groups"
        )
        rows.append([number, item, said])
    heads = [Head("Item", False), Head("What to report", False), Head("Where", False)]
    return table("Items of the LEVEL checklist, and where they are found", heads, rows)

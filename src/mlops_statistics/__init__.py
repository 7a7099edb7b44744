"""Has a distribution changed? Two samples, known by their sketches, compared by tests and by the size of the change.

    distributions         sketches that add up: counts between fixed edges, counts of categories
    kolmogorov_smirnov    numbers     two-sample test, and the distance D
    chi_square            categories  two-sample contingency test, and Cramer's V
    proportions           missingness, unseen levels: two shares
    psi                   population stability index, less its noise floor
    adjustment            p-values of many columns at once (Benjamini-Hochberg)
    drift                 what all of them say about one column, and about a table

Python and `math` alone, and no file format: the API compares stored sketches with it, the ML container counts new
rows into them. A column has drifted only when the test is significant after adjustment and the change is large.
"""

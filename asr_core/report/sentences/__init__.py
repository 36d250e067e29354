"""Every sentence that a page or figure says, each a function of the table that is drawn, and of nothing else.

    from asr_core.report.sentences import accuracies

    accuracies.overview(overview.ACCURACY.table(result, repairs))

What a sentence compares was tested where the table was made, by `measure.statistics`: only its four words stand here.
"""

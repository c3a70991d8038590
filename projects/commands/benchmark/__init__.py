"""``mmroad benchmark``: several methods on several data sets, in one table."""

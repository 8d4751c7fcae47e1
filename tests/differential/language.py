"""The names of PromQL as Prometheus 2.42 knows them."""

OF_RANGE = (
    "rate", "increase", "delta", "irate", "idelta", "changes", "resets", "deriv",
    "sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "count_over_time",
    "last_over_time", "present_over_time", "stddev_over_time", "stdvar_over_time",
)  # fmt: skip
OF_VALUES = (
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "deg", "rad",
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
    "timestamp", "sort", "sort_desc", "absent",
)  # fmt: skip
OF_DATES = (
    "minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month",
    "year",
)  # fmt: skip
OTHERS = (
    "absent_over_time", "quantile_over_time", "holt_winters", "predict_linear", "clamp",
    "clamp_min", "clamp_max", "round", "label_replace", "label_join", "vector",
    "histogram_quantile",
)  # fmt: skip
NATIVE = ("histogram_count", "histogram_sum", "histogram_fraction")
"""Of native histograms, so that they find nothing here."""
SCALARS = ("time", "pi", "scalar")
FUNCTIONS = (*OF_RANGE, *OF_VALUES, *OF_DATES, *OTHERS, *SCALARS, *NATIVE)
"""All functions of Prometheus 2.42."""

SIMPLE_AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
AGGREGATIONS = (*SIMPLE_AGGREGATIONS, "quantile", "count_values", "topk", "bottomk")
ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
SETS = ("and", "or", "unless")
OPERATORS = (*ARITHMETIC, *COMPARISONS, *SETS)

"""A rebuild on Apache Spark: the models that read every event are computed there, and kept by the working database."""

"""PNG pictures for messages: pure functions of plain data, drawn with Matplotlib's Agg, without pyplot."""

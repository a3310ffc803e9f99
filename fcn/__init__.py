"""What the scripts share: metrics, reports, data sets, the demo's data, figures, weights."""

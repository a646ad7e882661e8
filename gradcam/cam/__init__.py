"""The walk: site, evidence, method, map, heatmap."""

"""AG2Vid: from action graphs to video (Bar, Herzig, Wang, Rohrbach, Chechik, Darrell, Globerson, ICML 2021)."""

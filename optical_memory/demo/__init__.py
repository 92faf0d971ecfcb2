"""The demonstration: a real conversation becomes pages, and a report shows them."""

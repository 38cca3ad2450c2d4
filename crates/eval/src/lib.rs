//! Probes, statistics and figures that show whether a backbone became better.

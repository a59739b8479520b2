"""The four dashboards; each module's `build` takes nothing and returns classic JSON."""

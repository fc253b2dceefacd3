"""Model specifications that ship with influbayes: one TOML file each, every prior with its unit and reason."""

"""The card of an exported model: what it is, what it was trained on, how to use it."""

from mutoscope import kinds
from mutoscope.formats.about import ExportedConfig
from mutoscope.models.generative import GenerativeModule

#: what must be said wherever something made from a dataset is shown
ACKNOWLEDGEMENTS = {
    "cmu_mocap": "The data used in this project was obtained from mocap.cs.cmu.edu. "
    "The database was created with funding from NSF EIA-0196217."
}


def card(model: GenerativeModule, config: ExportedConfig, name: str, averaged: bool) -> str:
    """Markdown for people.

    Args:
        model: what is exported.
        config: what its ``config.json`` says.
        name: of the folder.
        averaged: whether the generator's weights are an average over training.
    """
    info = model.info
    kind = type(model).__name__
    parameters = sum(p.numel() for p in model.generator.parameters())
    # folders of this machine were left out of the config
    data = f" dataset.root=path/to/{info.name}" if "root" in config.dataset else ""
    text = kinds.tools(info.kind).card(model, name, f"mutoscope evaluate checkpoint={name}{data}")
    facts = {"Origin": config.origin} if config.origin is not None else {}
    seen = f", {model.samples_seen:,} clips seen" if model.samples_seen else ""
    facts |= {
        "Dataset": info.name,
        "Clips": text.clips,
        "Iterations": f"{model.iterations:,} mini-batches{seen}",
        "Generator": f"{parameters:,} parameters" + (", averaged over training" if averaged else ""),
        "Versions": ", ".join(f"{package} {number}" for package, number in config.versions.items()),
        **text.facts,
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    written = f"""---
library_name: mutoscope
tags: [{text.tag}, {kind}]
---
# {kind} on {info.name}

| | |
|---|---|
{table}

{text.body}"""
    thanks = ACKNOWLEDGEMENTS.get(info.name)
    return written + (f"\n## Data\n\n{thanks}\n" if thanks else "")

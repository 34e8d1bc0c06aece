"""The component families and what ships with each; nothing is imported until it is asked for."""

from typing import TYPE_CHECKING, Any

from gssl.common.resolve import Resolver

if TYPE_CHECKING:  # types of lower rooms; importing them here would import torch
    from collections.abc import Callable

    from torch import Tensor

    from gssl.augment.base import Augmenter
    from gssl.evaluate.base import Judge
    from gssl.method import Method
    from gssl.models.encoder import Encoder
    from gssl.samplers.base import Sampler
    from gssl.samplers.propagation.base import Propagation
    from gssl.samplers.selection.base import Selection

METHODS: "Resolver[type[Method]]" = Resolver(
    "method",
    {
        "DGI": "gssl.methods.dgi:DGI",
        "GRACE": "gssl.methods.grace:GRACE",
        "Contrast": "gssl.methods.contrast:Contrast",
        "BGRL": "gssl.methods.bgrl:BGRL",
        "GraphCL": "gssl.methods.graphcl:GraphCL",
        "JOAO": "gssl.methods.joao:JOAO",
        "JOAOv2": "gssl.methods.joao:JOAOv2",
        "AD-GCL": "gssl.methods.adgcl:ADGCL",
        "SimGRACE": "gssl.methods.simgrace:SimGRACE",
        "RGCL": "gssl.methods.rgcl:RGCL",
        "AutoGCL": "gssl.methods.autogcl:AutoGCL",
        "GCC": "gssl.methods.gcc:GCC",
        "InfoGraph": "gssl.methods.infograph:InfoGraph",
        "GAE": "gssl.methods.gae:GAE",
        "VGAE": "gssl.methods.vgae:VGAE",
        "ARGA": "gssl.methods.arga:ARGA",
        "ARGVA": "gssl.methods.arga:ARGVA",
        "MaskGAE": "gssl.methods.maskgae:MaskGAE",
        "S2GAE": "gssl.methods.s2gae:S2GAE",
        "Bandana": "gssl.methods.bandana:Bandana",
        "GraphMAE": "gssl.methods.graphmae:GraphMAE",
        "GraphMAE2": "gssl.methods.graphmae2:GraphMAE2",
        "AUG-MAE": "gssl.methods.augmae:AUGMAE",
        "GiGaMAE": "gssl.methods.gigamae:GiGaMAE",
        "AFGRL": "gssl.methods.afgrl:AFGRL",
        "MVGRL": "gssl.methods.mvgrl:MVGRL",
        "GCA": "gssl.methods.gca:GCA",
        "GGD": "gssl.methods.ggd:GGD",
        "GMI": "gssl.methods.gmi:GMI",
        "SUBG-CON": "gssl.methods.subgcon:SUBGCON",
        "E2Neg": "gssl.methods.e2neg:E2Neg",
        "PolyGCL": "gssl.methods.polygcl:PolyGCL",
        "GraphACL": "gssl.methods.graphacl:GraphACL",
        "COSTA": "gssl.methods.costa:COSTA",
        "ProGCL": "gssl.methods.progcl:ProGCL",
        "CCA-SSG": "gssl.methods.cca_ssg:CCASSG",
        "SUGRL": "gssl.methods.sugrl:SUGRL",
        "SimMLP": "gssl.methods.simmlp:SimMLP",
        "G-BT": "gssl.methods.gbt:GBT",
        "VICReg": "gssl.methods.vicreg:VICReg",
        "SGRL": "gssl.methods.sgrl:SGRL",
        "BLNN": "gssl.methods.blnn:BLNN",
        "AttrMask": "gssl.methods.attrmask:AttrMask",
        "ContextPred": "gssl.methods.contextpred:ContextPred",
        "EdgePred": "gssl.methods.edgepred:EdgePred",
        "GALA": "gssl.methods.gala:GALA",
        "Graph-JEPA": "gssl.methods.graphjepa:GraphJEPA",
        "MGAE": "gssl.methods.mgae:MGAE",
        "LaGraph": "gssl.methods.lagraph:LaGraph",
        "GROVER": "gssl.methods.grover:GROVER",
        "GPT-GNN": "gssl.methods.gptgnn:GPTGNN",
        "AutoSSL": "gssl.methods.autossl:AutoSSL",
        "M3S": "gssl.methods.m3s:M3S",
        "NodeProperty": "gssl.methods.node_property:NodeProperty",
        "EdgeMask": "gssl.methods.edge_mask:EdgeMask",
        "PairwiseDistance": "gssl.methods.pairwise_distance:PairwiseDistance",
        "Distance2Clusters": "gssl.methods.distance2clusters:Distance2Clusters",
        "PairwiseAttrSim": "gssl.methods.pairwise_attr_sim:PairwiseAttrSim",
        "S2GRL": "gssl.methods.s2grl:S2GRL",
        "Clustering": "gssl.methods.clustering:Clustering",
        "Partitioning": "gssl.methods.partitioning:Partitioning",
        "Completion": "gssl.methods.completion:Completion",
        "ParetoGNN": "gssl.methods.paretognn:ParetoGNN",
        "Merged": "gssl.methods.merged:Merged",
        "DMGI": "gssl.methods.dmgi:DMGI",
        "HeCo": "gssl.methods.heco:HeCo",
        "MetaPathPred": "gssl.methods.metapathpred:MetaPathPred",
        "raw": "gssl.methods.reference:Raw",
        "untrained": "gssl.methods.reference:Untrained",
        "supervised": "gssl.methods.supervised:Supervised",
    },
    group="gssl.methods",
)

ENCODERS: "Resolver[type[Encoder]]" = Resolver(
    "encoder",
    {
        "GCN": "gssl.models.gcn:GCN",
        "SAGE": "gssl.models.sage:SAGE",
        "GIN": "gssl.models.gin:GIN",
        "GINE": "gssl.models.gine:GINE",
        "GAT": "gssl.models.gat:GAT",
        "MLP": "gssl.models.mlp:MLPEncoder",
        "MetaPathGCN": "gssl.models.metapath:MetaPathGCN",
        "HAN": "gssl.models.han:HAN",
        "RGCN": "gssl.models.rgcn:RGCN",
        "ResGCN": "gssl.models.resgcn:ResGCN",
    },
    group="gssl.encoders",
)

AUGMENTERS: "Resolver[type[Augmenter]]" = Resolver(
    "augmenter",
    {
        "identity": "gssl.augment.base:Identity",
        "drop_edge": "gssl.augment.drop_edge:DropEdge",
        "mask_feature": "gssl.augment.mask_feature:MaskFeature",
        "drop_node": "gssl.augment.drop_node:DropNode",
        "subgraph": "gssl.augment.subgraph:WalkSubgraph",
        "mask_entry": "gssl.augment.mask_entry:MaskEntry",
        "mask_attribute": "gssl.augment.mask_attribute:MaskAttribute",
        "noise_node": "gssl.augment.noise_node:NoiseNode",
        "add_edge": "gssl.augment.add_edge:AddEdge",
        "perturb_edge": "gssl.augment.perturb_edge:PerturbEdge",
        "bandwidth": "gssl.augment.bandwidth:Bandwidth",
        "redraw_edge": "gssl.augment.redraw_edge:RedrawEdge",
        "spectral_filter": "gssl.augment.spectral:SpectralFilter",
        "shuffle": "gssl.augment.shuffle:Shuffle",
        "diffuse": "gssl.augment.diffuse_batch:DiffuseBatch",
        "ego_net": "gssl.augment.ego_net:EgoNet",
        "restart_walk": "gssl.augment.restart_walk:RestartWalk",
    },
    group="gssl.augmenters",
)

OBJECTIVES: "Resolver[Callable[..., Tensor]]" = Resolver(
    "objective",
    {
        "info_nce": "gssl.objectives.info_nce:info_nce",
        "debiased_info_nce": "gssl.objectives.hard_negatives:debiased_info_nce",
        "hard_info_nce": "gssl.objectives.hard_negatives:hard_info_nce",
        "nt_xent": "gssl.objectives.nt_xent:nt_xent",
        "barlow_twins": "gssl.objectives.decorrelation:barlow_twins",
        "vicreg": "gssl.objectives.decorrelation:vicreg",
        "cca_ssg": "gssl.objectives.decorrelation:cca_ssg",
        "scattering": "gssl.objectives.scattering:scattering",
        "jsd": "gssl.objectives.jsd:jsd",
        "group_discrimination": "gssl.objectives.groups:group_discrimination",
        "margin_ranking": "gssl.objectives.margin:margin_ranking",
        "triplet_margin": "gssl.objectives.margin:triplet_margin",
        "multi_margin_triplet": "gssl.objectives.margin:multi_margin_triplet",
        "bootstrap_cosine": "gssl.objectives.bootstrap:bootstrap_cosine",
        "root_mean_square": "gssl.objectives.invariance:root_mean_square",
        "scaled_cosine_error": "gssl.objectives.scaled_cosine:scaled_cosine_error",
        "uniformity": "gssl.objectives.uniformity:uniformity",
        "edge_reconstruction": "gssl.objectives.edges:edge_reconstruction",
        "multi_positive_nce": "gssl.objectives.positives:multi_positive_nce",
        "queue_info_nce": "gssl.objectives.queue_info_nce:queue_info_nce",
        "candidate_info_nce": "gssl.objectives.queue_info_nce:candidate_info_nce",
        "hyperbola_error": "gssl.objectives.hyperbola:hyperbola_error",
        "gaussian_kl": "gssl.objectives.kl:gaussian_kl",
        "rationale": "gssl.objectives.rationale:rationale_contrast",
    },
    group="gssl.objectives",
)

PROPAGATIONS: "Resolver[type[Propagation]]" = Resolver(
    "propagation",
    {
        "exact": "gssl.samplers.propagation.exact:Exact",
        "neighbor": "gssl.samplers.propagation.neighbor:Neighbor",
        "labor": "gssl.samplers.propagation.labor:Labor",
        "fastgcn": "gssl.samplers.propagation.fastgcn:FastGCN",
        "ladies": "gssl.samplers.propagation.ladies:Ladies",
        "vrgcn": "gssl.samplers.propagation.vrgcn:VRGCNPropagation",
        "history": "gssl.samplers.propagation.history:HistoryPropagation",
        "lmc": "gssl.samplers.propagation.lmc:LMCPropagation",
        "adjoint": "gssl.samplers.propagation.adjoint:AdjointPropagation",
        "induced": "gssl.samplers.propagation.induced:Induced",
        "saint": "gssl.samplers.propagation.saint:Saint",
        "shadow": "gssl.samplers.propagation.shadow:Shadow",
    },
    group="gssl.propagations",
)

SELECTIONS: "Resolver[type[Selection]]" = Resolver(
    "target selection",
    {
        "uniform": "gssl.samplers.selection.uniform:Uniform",
        "minvar": "gssl.samplers.selection.minvar:MinimalVariance",
        "degree": "gssl.samplers.selection.degree:Degree",
        "walk": "gssl.samplers.selection.walk:Walk",
        "cluster": "gssl.samplers.selection.cluster:Cluster",
    },
    group="gssl.selections",
)


class SamplerResolver(Resolver["Callable[..., Sampler]"]):
    """Samplers by name, and any pair ``SELECTION+PROPAGATION``."""

    def canonical(self, name: str) -> str:
        if "+" not in name or ":" in name:
            return super().canonical(name)
        selection, _, propagation = name.partition("+")
        return f"{SELECTIONS.canonical(selection)}+{PROPAGATIONS.canonical(propagation)}"

    def get(self, name: str) -> "Callable[..., Sampler]":
        selection, plus, propagation = self.canonical(name).partition("+")
        if not plus or ":" in name:
            return super().get(name)
        from gssl.samplers.pair import make_pair

        return make_pair(SELECTIONS.get(selection), PROPAGATIONS.get(propagation))


SAMPLERS = SamplerResolver(
    "sampler",
    {
        "full": "gssl.samplers.full:FullBatch",
        "graphs": "gssl.samplers.full:GraphBatches",
        "mvs": "gssl.samplers.named:mvs",
        "graphsage": "gssl.samplers.named:graphsage",
        "vrgcn": "gssl.samplers.named:vrgcn",
        "gas": "gssl.samplers.named:gas",
        "lmc": "gssl.samplers.named:lmc",
        "labor": "gssl.samplers.named:labor",
        "fastgcn": "gssl.samplers.named:fastgcn",
        "ladies": "gssl.samplers.named:ladies",
        "clustergcn": "gssl.samplers.named:clustergcn",
        "graphsaint": "gssl.samplers.named:graphsaint",
        "shadow": "gssl.samplers.named:shadow",
    },
    group="gssl.samplers",
)

# What methods share beside views and objectives; each is used from Python, by its import path.
PARTS: Resolver[Any] = Resolver(
    "part",
    {
        "mlp_head": "gssl.models.heads:mlp_head",
        "ema_target": "gssl.models.ema:EMATarget",
        "negatives_queue": "gssl.models.queue:NegativesQueue",
        "weight_noise": "gssl.models.noise:noisy_twin",
        "twin": "gssl.models.twin:twin",
        "inner_product": "gssl.models.edge_decoder:InnerProduct",
        "hadamard_mlp": "gssl.models.edge_decoder:HadamardMLP",
        "cross_correlation_mlp": "gssl.models.edge_decoder:CrossCorrelationMLP",
        "feature_decoder": "gssl.models.decoder:make_decoder",
        "sharpening_decoder": "gssl.models.sharpen:SharpeningDecoder",
        "marginalised_layer": "gssl.models.marginal:MarginalisedLayer",
        "structural_encoder": "gssl.models.structural:StructuralEncoder",
        "patch_encoder": "gssl.models.patch_encoder:PatchEncoder",
        "patch_transformer": "gssl.models.patch_attention:PatchTransformer",
        "cut_patches": "gssl.augment.patches:cut_patches",
        "ego_nets": "gssl.augment.ego_nets:ego_nets",
        "restart_walks": "gssl.augment.ego_nets:restart_walks",
        "beta_mixture": "gssl.objectives.beta_mixture:BetaMixture",
        "reweighted_info_nce": "gssl.objectives.hardness:reweighted_info_nce",
        "mixed_info_nce": "gssl.objectives.hardness:mixed_info_nce",
    },
    group="gssl.parts",
)

PROBES: "Resolver[type[Judge]]" = Resolver(
    "probe",
    {
        "P1": "gssl.evaluate.linear:PublicLinear",
        "P2": "gssl.evaluate.liblinear:GraceProbe",
        "P3-BGRL": "gssl.evaluate.liblinear:BgrlProbe",
        "P3-GCA": "gssl.evaluate.linear:GcaProbe",
        "P4": "gssl.evaluate.liblinear:WikiCSProbe",
        "P5-RBF": "gssl.evaluate.svm:RbfSvm",
        "P5-linear": "gssl.evaluate.svm:LinearSvm",
        "OGB": "gssl.evaluate.ogb:OgbProbe",
        "HeCo": "gssl.evaluate.heco:HeCoProbe",
        "P7": "gssl.evaluate.semi:SemiSupervisedFolds",
        "LBFGS": "gssl.evaluate.lbfgs:LbfgsProbe",
        "Dot": "gssl.evaluate.links:Dot",
        "Hadamard": "gssl.evaluate.links:Hadamard",
        "Decoder": "gssl.evaluate.links:Decoder",
        "KMeans": "gssl.evaluate.clusters:KMeansProbe",
    },
    group="gssl.probes",
)

# Tasks and settings are made of parts that are found by name, so their types are above this file.
TASKS: Resolver[Any] = Resolver(
    "task",
    {
        "node": "gssl.tasks.items:NodeTask",
        "graph": "gssl.tasks.items:GraphTask",
        "link": "gssl.tasks.link:LinkTask",
        "cluster": "gssl.tasks.cluster:ClusterTask",
    },
    group="gssl.tasks",
)

SETTINGS: Resolver[Any] = Resolver(
    "setting",
    {
        "frozen": "gssl.settings.frozen:Frozen",
        "finetune": "gssl.settings.labelled:Finetune",
        "auxiliary": "gssl.settings.labelled:AuxiliaryLearning",
        "supervised": "gssl.settings.labelled:SupervisedLearning",
    },
    group="gssl.settings",
)

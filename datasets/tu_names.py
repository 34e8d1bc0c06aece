"""The sets of the TU collection (https://chrsmrrs.github.io/datasets/docs/datasets/) beside those of the catalogue.

PyTorch Geometric takes any of these names; so does this project, without listing them.
"""

from __future__ import annotations


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_MOLECULES = _names("""
    AIDS BZR BZR_MD COX2 COX2_MD DHFR DHFR_MD ER_MD FRANKENSTEIN MCF-7 MCF-7H MOLT-4 MOLT-4H Mutagenicity NCI109 NCI-H23
    NCI-H23H OVCAR-8 OVCAR-8H P388 P388H PC-3 PC-3H PTC_FM PTC_FR PTC_MM SF-295 SF-295H SN12C SN12CH SW-620 SW-620H
    UACC257 UACC257H Yeast YeastH
""")
_TOX21 = _names("AhR AR AR-LBD ARE aromatase ATAD5 ER ER-LBD HSE MMP p53 PPAR-gamma")
_PROTEINS_AND_BRAINS = _names("ENZYMES KKI OHSU Peking_1 PROTEINS_full")
_IMAGES = _names("""
    COIL-DEL COIL-RAG Cuneiform Fingerprint FIRSTMM_DB Letter-high Letter-low Letter-med MSRC_9 MSRC_21 MSRC_21C
""")
_SOCIAL = _names("""
    dblp_ct1 dblp_ct2 DBLP_v1 deezer_ego_nets facebook_ct1 facebook_ct2 github_stargazers highschool_ct1 highschool_ct2
    infectious_ct1 infectious_ct2 mit_ct1 mit_ct2 REDDIT-MULTI-12K reddit_threads tumblr_ct1 tumblr_ct2 twitch_egos
    TWITTER-Real-Graph-Partial
""")
_SYNTHETIC = _names("COLORS-3 SYNTHETIC SYNTHETICnew Synthie TRIANGLES")

CLASSES = (
    *_MOLECULES,
    *(f"Tox21_{assay}_{part}" for assay in _TOX21 for part in ("training", "testing", "evaluation")),
    *_PROTEINS_AND_BRAINS,
    *_IMAGES,
    *_SOCIAL,
    *_SYNTHETIC,
)
REAL_NUMBERS = _names("""
    alchemy_full aspirin benzene ethanol malonaldehyde naphthalene QM9 salicylic_acid toluene uracil ZINC_full ZINC_test
    ZINC_train ZINC_val
""")

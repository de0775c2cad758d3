"""From embeddings to the plane: every cloud with the same seed, start and settings."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from emo_hf.errors import UserError
from emo_hf.storage.files import write_whole

METHODS = ("t-SNE", "UMAP")
SEED = 42
PERPLEXITY = 30.0
NEIGHBOURS = 15


def project(clouds: list[np.ndarray], method: str) -> list[np.ndarray]:
    """Map each cloud (N, D) to the plane (N, 2), started from its first two principal components.

    t-SNE's perplexity and UMAP's neighbourhood shrink for small clouds; clouds too small for either, or without
    any spread, are shown by their principal components. Raises UserError when UMAP is asked for but not installed.
    """
    from joblib import Parallel, cpu_count, delayed
    from threadpoolctl import threadpool_limits

    if method == "UMAP":
        _require_umap()
        # Not from several threads: numba's default thread pool ends the process when two of them meet in it.
        return [_project(cloud, method) for cloud in clouds]
    # t-SNE works in compiled code that lets go of the interpreter lock: threads save the start of processes.
    jobs = max(1, min(len(clouds), cpu_count()))
    # On several threads the order of sums, and with it the map, would depend on the machine and on who calls.
    with threadpool_limits(limits=1, user_api="blas"):
        return Parallel(n_jobs=jobs, prefer="threads")(delayed(_project)(cloud, method) for cloud in clouds)


def cached(clouds: list[np.ndarray], method: str, path: Path) -> list[np.ndarray]:
    """`project`, or what stands in `path` (.npz) from the same clouds."""
    digest = hashlib.sha256(f"{method} {Path(__file__).read_bytes()!r}".encode())
    for cloud in clouds:
        digest.update(repr((cloud.shape, cloud.dtype)).encode() + np.ascontiguousarray(cloud).tobytes())
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["digest"]) == digest.hexdigest():
                return [stored[f"map_{place}"] for place in range(len(clouds))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass
    maps = project(clouds, method)
    buffer = io.BytesIO()
    named = {f"map_{place}": points for place, points in enumerate(maps)}
    np.savez(buffer, digest=np.array(digest.hexdigest()), **named)  # type: ignore[arg-type]  # as in the record
    write_whole(path, buffer.getvalue())
    return maps


def _project(cloud: np.ndarray, method: str) -> np.ndarray:
    cloud = cloud.astype(np.float32)
    if len(cloud) < 5 or len(np.unique(cloud, axis=0)) < 3:
        return _principal_components(cloud)
    return _tsne(cloud) if method == "t-SNE" else _umap(cloud)


def _tsne(cloud: np.ndarray) -> np.ndarray:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    tsne = TSNE(
        n_components=2, init="pca", perplexity=min(PERPLEXITY, (len(cloud) - 1) / 3), random_state=SEED, n_jobs=1
    )
    # `n_jobs` does not reach the gradient: its OpenMP threads would fight with those of the other clouds. How many
    # there are is a matter of each thread, how many of BLAS one of the process.
    with threadpool_limits(limits=1, user_api="openmp"):
        return tsne.fit_transform(cloud)


def _umap(cloud: np.ndarray) -> np.ndarray:
    from umap import UMAP

    neighbours = min(NEIGHBOURS, len(cloud) - 1)
    reducer = UMAP(n_components=2, n_neighbors=neighbours, init="pca", random_state=SEED, n_jobs=1)
    return reducer.fit_transform(cloud)


def _principal_components(cloud: np.ndarray) -> np.ndarray:
    centred = cloud - cloud.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    points = centred @ directions[:2].T
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))


def _require_umap() -> None:
    try:
        import umap  # noqa: F401  (slow to import, so only when a map is drawn)
    except ImportError as error:
        raise UserError("UMAP maps need the package umap-learn; pip install umap-learn, or leave umap off") from error

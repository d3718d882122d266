# SPDX-License-Identifier: Apache-2.0
"""Pictures of a localization run: paths, errors, map points, query images. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ace_ros.evaluation.plot_geometry import core, in_core, plane_of, upright_basis
from ace_ros.files.whole import new_file
from ace_ros.geometry.metrics import RECALL_LIMITS

TRUE, ESTIMATED, DRIVE, MISSED = "#1b4965", "#f28f3b", "#8d99ae", "#c1121f"
INK, FAINT, SURFACE = "#22262e", "#d5d9e0", "#eceff3"
FONT: dict[str, Any] = {"fontsize": 10, "color": INK}
HEADINGS = 14  # of the estimated poses are drawn


def plot_trajectory(
    path: Path,
    true: np.ndarray,
    estimated: np.ndarray,
    points: np.ndarray,
    *,
    axes: np.ndarray | None = None,
    heading: int = 2,
    drive: np.ndarray | None = None,
    jump: np.ndarray | None = None,
    footprints: Sequence[np.ndarray] = (),
    title: str = "Estimated against true positions",
) -> Path:
    """Draw true and estimated poses from above; return the path.

    `true` and `estimated` are (F, 4, 4), NaN where there is no pose; `points` (P, 3) are the map's.
    `axes` (2, 3) are the directions drawn to the right and up, by default the plane in which the
    true positions spread most. `heading` is the column of the poses that points forward: 2 for a
    camera, 0 for a robot's base. `drive` (D, 3) is the path of the mapping drive, `jump` (2, 3)
    where the robot was carried from and to, `footprints` outlines (K, 3) of things in the room.
    """
    labels = ("m", "m") if axes is None else ("x [m]", "y [m]")
    axes = plane_of(true[:, :3, 3]) if axes is None else axes
    floor = [outline @ axes.T for outline in footprints]
    seen = core(points) @ axes.T
    at, found = true[:, :3, 3] @ axes.T, estimated[:, :3, 3] @ axes.T
    driven = np.zeros((0, 2)) if drive is None else drive @ axes.T
    forward = estimated[:, :3, heading] @ axes.T
    # With a room around it, the path is shown a second time from near.
    frames = [np.concatenate([seen, at, driven])]
    if floor:
        frames = [np.concatenate(floor), np.concatenate([at, driven])]
    figure = Figure(figsize=(6.6 * len(frames), 5.8), layout="constrained")
    grid = figure.add_gridspec(2, len(frames), height_ratios=(18, 1))
    for column, frame in enumerate(frames):
        ax = figure.add_subplot(grid[0, column])
        _label(ax, *labels, "")
        ax.grid(color=SURFACE, zorder=0)
        ax.set(axisbelow=True, aspect="equal")
        # Transparent, so that what stands on the floor is darker than the floor.
        ax.add_collection(PolyCollection(floor, facecolor="#dfe4eb70", edgecolor="#c3cad4", lw=0.8))
        ax.scatter(seen[:, 0], seen[:, 1], s=1.2, c="#8f99a6", linewidths=0, alpha=0.6, label="map points")
        if len(driven):
            ax.plot(*driven.T, color=DRIVE, lw=1.2, ls=(0, (4, 2)), label="mapping drive")
        _draw_poses(ax, at, found, forward)
        _limit(ax, frame)
    if jump is not None:
        _draw_jump(figure.axes[0], jump @ axes.T)
    figure.suptitle(title, fontsize=12, color=INK)
    handles, names = figure.axes[0].get_legend_handles_labels()
    foot = figure.add_subplot(grid[1, :])
    foot.axis("off")
    legend = foot.legend(handles, names, loc="center", ncol=6, frameon=False, fontsize=9)
    legend.findobj(PathCollection)[0].set(sizes=[16], alpha=1.0)
    return _write(figure, path)


def plot_refinement(path: Path, recorded: np.ndarray, refined: np.ndarray) -> Path:
    """Draw recorded and refined poses (I, 3, 4) of a mapping drive from above, and how far they differ.

    Returns the path.
    """
    axes = plane_of(refined[:, :, 3])
    before, after = recorded[:, :, 3] @ axes.T, refined[:, :, 3] @ axes.T
    shift = 100.0 * np.linalg.norm(refined[:, :, 3] - recorded[:, :, 3], axis=1)
    turn = refined[:, :, :3] @ recorded[:, :, :3].transpose(0, 2, 1)
    cosine = (np.trace(turn, axis1=1, axis2=2) - 1.0) / 2.0
    figure = Figure(figsize=(11.0, 4.8), layout="constrained")
    plan, change = figure.subplots(1, 2)
    plan.plot(*before.T, color=DRIVE, lw=1.2, ls=(0, (4, 2)), label="recorded")
    plan.plot(*after.T, color=TRUE, lw=1.8, label="refined")
    plan.add_collection(LineCollection(list(np.stack([before, after], 1)), color=ESTIMATED, lw=0.7, zorder=3))
    plan.set_aspect("equal")
    _limit(plan, np.concatenate([before, after]))
    _label(plan, "m", "m", "")
    plan.grid(color=SURFACE, zorder=0)
    plan.legend(frameon=False, fontsize=9)
    change.plot(shift, color=TRUE, lw=1.8)
    _label(change, "mapping image", "", "")
    change.set_ylabel("moved by [cm]", fontsize=10, color=TRUE)
    change.set_ylim(bottom=0.0)
    other = change.twinx()
    other.plot(np.degrees(np.arccos(cosine.clip(-1.0, 1.0))), color=ESTIMATED, lw=1.8)
    other.set_ylabel("turned by [deg]", fontsize=10, color=ESTIMATED)
    other.set_ylim(bottom=0.0)
    other.spines[["top", "left", "bottom", "right"]].set_visible(False)
    other.tick_params(length=0, labelsize=9, colors=INK)
    figure.suptitle("Refinement of the mapping poses", fontsize=12, color=INK)
    return _write(figure, path)


def plot_errors(path: Path, translation_m: np.ndarray, rotation_deg: np.ndarray) -> Path:
    """Draw what share of all images (F,) is within which error; NaN is a miss. Return the path."""
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    limits = [(100 * metres, np.degrees(radians)) for metres, radians in RECALL_LIMITS.values()]
    panels = (
        (100.0 * translation_m, "position error", "cm", sorted({cm for cm, _ in limits})),
        (rotation_deg, "rotation error", "deg", sorted({round(deg, 6) for _, deg in limits})),
    )
    for ax, (errors, name, unit, marks) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        finite = np.sort(errors[np.isfinite(errors)])
        share = 100.0 * np.arange(len(finite) + 1) / max(len(errors), 1)
        top = 1.15 * marks[-1]
        if len(finite):
            top = max(top, float(np.quantile(finite, 0.95)))
        ax.step(np.r_[0.0, finite, 1e9], np.r_[share, share[-1]], where="post", color=TRUE, lw=2.0)
        for mark in marks:
            within = 100.0 * float((errors <= mark).mean()) if len(errors) else 0.0
            ax.plot([mark, mark], [0, within], color=FAINT, lw=1.0, zorder=1)
            ax.annotate(
                f"{within:.0f} %", (mark, within), xytext=(4, -11), textcoords="offset points",
                fontsize=8, color=INK,
            )  # fmt: skip
        if len(finite):
            median = float(np.median(finite))
            ax.axvline(median, color=ESTIMATED, lw=1.6, label=f"median {median:.2f} {unit}")
            ax.legend(loc="lower right", frameon=False, fontsize=9)
        ax.set(xlim=(0, top), ylim=(0, 104))
        _label(ax, f"{name} [{unit}]", "", "")
        ax.grid(axis="y", color=SURFACE)
    figure.axes[0].set_ylabel("share of all images [%]", **FONT)
    figure.suptitle(f"Errors of {len(translation_m)} images", fontsize=12, color=INK)
    return _write(figure, path)


def plot_map_points(path: Path, points: np.ndarray, grey: np.ndarray, up: np.ndarray | None = None) -> Path:
    """Draw the points (P, 3) that a map has learned, with their brightness (P,) uint8; return the path.

    `up` (3,) is the upward direction of the map frame, by default that of least spread.
    """
    points, grey = points[in_core(points)], grey[in_core(points)]
    basis = upright_basis(points, up)
    local = points @ basis.T
    centred = local - np.median(local, 0) if len(local) else local
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    view, plan = figure.subplots(1, 2)
    angle, tilt = np.radians(35.0), np.radians(32.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = centred @ turn.T
    across, depth = turned[:, 0], turned[:, 1] * np.cos(tilt) - turned[:, 2] * np.sin(tilt)
    height = turned[:, 1] * np.sin(tilt) + turned[:, 2] * np.cos(tilt)
    order = np.argsort(-depth)  # far ones first
    style = {
        "c": grey[order],
        "cmap": "gray",
        "vmin": 0,
        "vmax": np.quantile(grey, 0.97) if len(grey) else 255,
    }
    size = float(np.clip(12_000 / max(len(points), 1), 2.0, 8.0))
    view.scatter(across[order], height[order], s=size, linewidths=0, **style)
    view.set_facecolor("#30343c")
    view.set(xticks=[], yticks=[], aspect="equal")
    view.set_title(f"{len(points)} points, with the brightness of their pixels", fontsize=10, color=INK)
    order = np.argsort(local[:, 2])
    shown = plan.scatter(*local[order, :2].T, s=size, c=local[order, 2], cmap="viridis", linewidths=0)
    plan.set_aspect("equal")
    _label(plan, "m", "m", "")
    plan.set_title("from above", fontsize=10, color=INK)
    bar = figure.colorbar(shown, ax=plan, shrink=0.8, pad=0.02)
    bar.set_label("height [m]", **FONT)
    bar.outline.set_visible(False)
    return _write(figure, path)


def plot_queries(path: Path, images: Sequence[np.ndarray], captions: Sequence[str]) -> Path:
    """Draw query images (H, W, 3) uint8 BGR in a grid with a line below each; return the path."""
    columns = min(3, max(1, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(4.2 * columns, 3.45 * rows), layout="constrained")
    for ax in figure.subplots(rows, columns, squeeze=False).flat:
        ax.axis("off")
    for ax, image, caption in zip(figure.axes, images, captions, strict=False):
        ax.imshow(image[..., ::-1])
        ax.set_title(caption, y=-0.1, fontsize=9.5, color=INK)
    return _write(figure, path)


def plot_training(
    path: Path, elapsed_s: np.ndarray, median_error_px: np.ndarray, inlier_share: np.ndarray
) -> Path:
    """Draw how the map's reprojection error fell over the time of training (T,); return the path."""
    figure = Figure(figsize=(7.0, 3.8), layout="constrained")
    ax = figure.subplots()
    known = np.isfinite(median_error_px)
    ax.semilogy(elapsed_s[known], median_error_px[known], color=TRUE, lw=2.0)
    _label(
        ax,
        "time, encoding included [s]",
        "median reprojection error [px]",
        "Training of the map",
    )
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.label.set_color(TRUE)
    other = ax.twinx()
    known = np.isfinite(inlier_share)
    other.plot(elapsed_s[known], 100.0 * inlier_share[known], color=ESTIMATED, lw=2.0)
    other.set_ylabel("share of points below 10 px [%]", fontsize=10, color=ESTIMATED)
    other.set_ylim(0, 100)
    other.spines[["top", "left", "bottom", "right"]].set_visible(False)
    other.tick_params(length=0, labelsize=9, colors=INK)
    return _write(figure, path)


def _draw_poses(ax: Axes, at: np.ndarray, found: np.ndarray, forward: np.ndarray) -> None:
    """Draw true and estimated positions (F, 2), the error between them, and where the estimates look."""
    localized = np.isfinite(found).all(1)
    ax.plot(*at.T, color=TRUE, lw=2.0, label="true path", zorder=4)
    pairs = np.stack([at, found], 1)[localized]
    ax.add_collection(LineCollection(pairs, color=ESTIMATED, lw=0.8, alpha=0.7, zorder=5))
    ax.scatter(
        found[localized, 0], found[localized, 1], s=9, c=ESTIMATED, edgecolors="white", linewidths=0.3,
        zorder=6, label=f"estimated ({localized.sum()} of {len(found)})",
    )  # fmt: skip
    if not localized.all():
        x, y = at[~localized].T
        ax.scatter(x, y, s=26, c=MISSED, marker="x", lw=1.2, zorder=7, label="not localized")
    chosen = np.flatnonzero(localized)[:: max(1, int(localized.sum()) // HEADINGS)]
    ax.quiver(
        *found[chosen].T, *forward[chosen].T, color=ESTIMATED, angles="xy", scale=24, width=0.0035,
        headwidth=4, zorder=6,
    )  # fmt: skip


def _draw_jump(ax: Axes, jump: np.ndarray) -> None:
    start, end = jump
    style = {"arrowstyle": "-|>", "color": MISSED, "lw": 1.5, "connectionstyle": "arc3,rad=0.25"}
    ax.annotate("", end, start, arrowprops={**style, "linestyle": (0, (5, 3))}, zorder=8)
    ax.scatter(start[0], start[1], s=46, facecolors="white", edgecolors=MISSED, lw=1.5, zorder=9)
    ax.annotate(
        "carried away", start, xytext=(-4, -16), textcoords="offset points", fontsize=9, color=MISSED,
        zorder=9,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
    )  # fmt: skip


def _label(ax: Axes, x: str, y: str, title: str) -> None:
    ax.set_xlabel(x, **FONT)
    ax.set_ylabel(y, **FONT)
    if title:
        ax.set_title(title, fontsize=12, color=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)
    ax.tick_params(length=0, labelsize=9, colors=INK)


def _limit(ax: Axes, points: np.ndarray) -> None:
    low, high = np.nanmin(points, 0), np.nanmax(points, 0)
    margin = 0.04 * float((high - low).max()) + 1e-3
    ax.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))


def _write(figure: Figure, path: Path) -> Path:
    with new_file(path) as file:
        FigureCanvasAgg(figure).print_figure(file, dpi=130, facecolor="white", format=path.suffix[1:])
    return path

/** Points, boxes and strokes as data, in pixels of the picture. Nothing here draws or knows the page. */

export function inside(point, size) {
    return point.x >= 0 && point.y >= 0 && point.x < size.width && point.y < size.height;
}

export function clamped(point, size) {
    return {
        x: Math.min(Math.max(point.x, 0), size.width - 1),
        y: Math.min(Math.max(point.y, 0), size.height - 1),
    };
}

/**
 * The box between two corners, clipped to the picture; null if empty.
 *
 * @returns {import("../server/answers.mjs").Box | null}
 */
export function boxOf(from, to, size) {
    const left = Math.max(Math.floor(Math.min(from.x, to.x)), 0);
    const top = Math.max(Math.floor(Math.min(from.y, to.y)), 0);
    const right = Math.min(Math.ceil(Math.max(from.x, to.x)), size.width);
    const bottom = Math.min(Math.ceil(Math.max(from.y, to.y)), size.height);
    return right - left >= 2 && bottom - top >= 2 ? [left, top, right, bottom] : null;
}

/** `points` without those that lie within `tolerance` of the line between their neighbours (Ramer, Douglas and Peucker). */
export function simplified(points, tolerance) {
    if (points.length < 3) return points.slice();
    const keep = new Uint8Array(points.length);
    keep[0] = keep[points.length - 1] = 1;
    const open = [[0, points.length - 1]];
    while (open.length) {
        const [first, last] = /** @type {number[]} */ (open.pop());
        let far = -1, farthest = tolerance;
        for (let i = first + 1; i < last; i++) {
            const distance = distanceToSegment(points[i], points[first], points[last]);
            if (distance > farthest) [far, farthest] = [i, distance];
        }
        if (far >= 0) {
            keep[far] = 1;
            open.push([first, far], [far, last]);
        }
    }
    return points.filter((_, i) => keep[i]);
}

export function distanceToSegment(p, a, b) {
    const dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    const t = length ? Math.min(Math.max(((p.x - a.x) * dx + (p.y - a.y) * dy) / length, 0), 1) : 0;
    return Math.hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

/** How far a point is from a box; 0 inside. */
export function distanceToBox({x, y}, [left, top, right, bottom]) {
    return Math.hypot(Math.max(left - x, x - right, 0), Math.max(top - y, y - bottom, 0));
}

/** A stroke as the API takes it. */
export function strokeOf(points) {
    return pairs(simplified(points, 0.5));
}

const rounded = (value) => Math.round(value * 100) / 100;
const pairs = (points) => points.map(({x, y}) => [rounded(x), rounded(y)]);

/** What POST /mask takes for a stroke of the brush or the eraser. */
export function strokesOperation(points, radius, erase) {
    return {op: "strokes", strokes: [{points: pairs(simplified(points, Math.max(radius / 24, 0.25))), radius: rounded(radius), erase}]};
}

/** What POST /mask takes for a lasso; null if it encloses nothing. */
export function lassoOperation(points, mode) {
    const outline = simplified(points, 0.5);
    if (outline.length < 3 || Math.abs(area(outline)) < 4) return null;
    return {op: "lasso", points: pairs(outline), mode};
}

/** Signed area of a polygon. */
export function area(points) {
    return points.reduce((sum, a, i) => {
        const b = points[(i + 1) % points.length];
        return sum + (a.x * b.y - b.x * a.y) / 2;
    }, 0);
}

/** The index of the prompt point within `reach` of `at`, the nearest first; -1 if there is none. */
export function nearest(points, at, reach) {
    let found = -1, best = reach;
    points.forEach((point, i) => {
        const distance = Math.hypot(point.x - at.x, point.y - at.y);
        if (distance <= best) [found, best] = [i, distance];
    });
    return found;
}

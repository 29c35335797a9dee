/** Poses in OpenPose's JSON, in pixels of their canvas: their joints and limbs, and how one is moved. */

const PERSON = ["pose_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "face_keypoints_2d"];
const BODY = [
    [1, 2], [1, 5], [2, 3], [3, 4], [5, 6], [6, 7], [1, 8], [8, 9], [9, 10], [1, 11], [11, 12], [12, 13], [1, 0], [0, 14], [14, 16], [0, 15], [15, 17],
];
const HAND = Array.from({length: 20}, (_, i) => [i % 4 ? i : 0, i + 1]);
const ANIMAL = [
    [0, 1], [1, 2], [0, 2], [2, 3], [3, 8], [8, 9], [9, 10], [3, 5], [5, 6], [6, 7], [3, 4], [4, 14], [14, 15], [15, 16], [4, 11], [11, 12], [12, 13],
];
const LIMBS = {pose_keypoints_2d: BODY, hand_left_keypoints_2d: HAND, hand_right_keypoints_2d: HAND, face_keypoints_2d: [], animal: ANIMAL};

/** What is drawn of a person, by the names that maps tell. */
const NAMES = ["body", "hands", "hands", "face"];

/** Every list of points, as [where it is, its numbers]; where: ["people", 0, "pose_keypoints_2d"] or ["animals", 0]. */
/** @typedef {{x: number, y: number, where: any[], index: number}} Joint where: of the numbers, see `parts`; index: among them */

/** @returns {[any[], number[]][]} */
function parts({people = [], animals = []}, drawn = NAMES) {
    const keys = PERSON.filter((_, i) => drawn.includes(NAMES[i]));
    /** @type {[any[], number[]][]} */
    const all = [];
    people.forEach((person, i) => keys.forEach((key) => all.push([["people", i, key], person[key]])));
    animals.forEach((numbers, i) => all.push([["animals", i], numbers]));
    return all.filter(([, numbers]) => numbers?.length);
}

/** @returns {Joint | null} */
function joint(where, numbers, index) {
    const [x, y, confidence] = numbers.slice(3 * index, 3 * index + 3);
    return confidence > 0 ? {x, y, where, index} : null;
}

export function hasPoses(document) {
    return Boolean(document && parts(document).length);
}

/** @type {(found: Joint | null) => found is Joint} */
const isThere = (found) => found !== null;

/** All joints that are there, of the parts that are drawn (all); those of bodies before the smaller ones. */
export function jointsOf(document, drawn) {
    const order = (where) => PERSON.indexOf(where[2]);
    const sorted = parts(document, drawn).sort(([a], [b]) => order(a) - order(b));
    return sorted.flatMap(([where, numbers]) => Array.from({length: numbers.length / 3}, (_, i) => joint(where, numbers, i)).filter(isThere));
}

/** Pairs of joints with a limb between them. */
export function limbsOf(document, drawn) {
    return parts(document, drawn).flatMap(([where, numbers]) =>
        LIMBS[where[2] ?? "animal"].map((pair) => pair.map((i) => joint(where, numbers, i)).filter(isThere)).filter((ends) => ends.length === 2));
}

/** The poses with one of their joints elsewhere; `to`: null leaves it out. */
export function moved(document, {where, index}, to) {
    const copy = structuredClone(document), numbers = where.reduce((part, key) => part[key], copy);
    numbers.splice(3 * index, 3, ...(to ? [to.x, to.y, 1] : [0, 0, 0]));
    return copy;
}

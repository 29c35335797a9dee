/** The loss over the steps, as a drawing: each step's faintly, over it the mean of the last twentieth. */

import {t} from "../language/language.mjs";

const SVG = "http://www.w3.org/2000/svg", WIDTH = 600, HEIGHT = 180, MOST = 600;

/** @param {number[]} losses */
export function curveOf(losses) {
    const highest = quantile(losses, 0.99) * 1.1 || 1;
    const svg = made("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t("learn.curve", {first: losses[0].toFixed(4), last: smoothed(losses).at(-1)?.toFixed(4) ?? ""})});
    for (const line of [0, 1, 2, 3]) {
        const y = HEIGHT - (HEIGHT * line) / 4, label = made("text", {x: "4", y: `${y - 4}`});
        label.textContent = ((highest * line) / 4).toPrecision(2);
        svg.append(made("line", {x1: "0", x2: `${WIDTH}`, y1: `${y}`, y2: `${y}`}), label);
    }
    svg.append(made("polyline", {class: "cp-learn-each", points: pointsOf(losses, highest)}), made("polyline", {class: "cp-learn-mean", points: pointsOf(smoothed(losses), highest)}));
    return svg;
}

/** The mean of the last twentieth at every step. @param {number[]} values */
export function smoothed(values) {
    const window = Math.max(1, Math.floor(values.length / 20));
    let sum = 0;
    return values.map((value, i) => {
        sum += value - (i >= window ? values[i - window] : 0);
        return sum / Math.min(i + 1, window);
    });
}

/** "x,y x,y …", of so many values as can be told apart. */
function pointsOf(values, highest) {
    const each = Math.max(1, Math.ceil(values.length / MOST)), last = Math.max(values.length - 1, 1);
    const chosen = values.map((value, i) => [i, value]).filter(([i]) => i % each === 0 || i === values.length - 1);
    return chosen.map(([i, value]) => `${((WIDTH * i) / last).toFixed(1)},${(HEIGHT * (1 - Math.min(value / highest, 1))).toFixed(1)}`).join(" ");
}

function quantile(values, share) {
    return values.slice().sort((a, b) => a - b)[Math.floor(share * (values.length - 1))];
}

function made(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
}

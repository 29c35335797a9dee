/** Which key does what. The help overlay is made from the same table. */

/** Those of a clip come first while one is open, and are none otherwise. */
const FILM = [
    {group: "film", keys: ["Space"], match: plain(" "), action: "film:play"},
    {group: "film", keys: [","], match: plain(","), action: "film:back"},
    {group: "film", keys: ["."], match: plain("."), action: "film:forth"},
    {group: "film", keys: ["I"], match: plain("i"), action: "film:in"},
    {group: "film", keys: ["O"], match: plain("o"), action: "film:out"},
    {group: "film", keys: ["Shift+,"], match: (e) => bare(e) && e.shiftKey && (e.key === "<" || e.code === "Comma"), action: "film:previous"},
    {group: "film", keys: ["Shift+."], match: (e) => bare(e) && e.shiftKey && (e.key === ">" || e.code === "Period"), action: "film:next"},
    {group: "film", keys: ["M"], match: plain("m"), action: "film:masks"},
];

export const SHORTCUTS = [
    ...FILM,
    {group: "tools", keys: ["C"], match: plain("c"), action: "tool:click"},
    {group: "tools", keys: ["R"], match: plain("r"), action: "tool:box"},
    {group: "tools", keys: ["L"], match: plain("l"), action: "tool:lasso"},
    {group: "tools", keys: ["B"], match: plain("b"), action: "tool:brush"},
    {group: "tools", keys: ["E"], match: plain("e"), action: "tool:eraser"},
    {group: "tools", keys: ["Q"], match: plain("q"), action: "tool:quick"},
    {group: "tools", keys: ["X"], match: plain("x"), action: "tool:crop"},
    {group: "tools", keys: ["A"], match: plain("a"), action: "everything"},
    {group: "tools", keys: ["T"], match: plain("t"), action: "text"},
    {group: "tools", keys: ["["], match: plain("["), action: "smaller"},
    {group: "tools", keys: ["]"], match: plain("]"), action: "larger"},
    {group: "selection", keys: ["Click"], action: "help:add"},
    {group: "selection", keys: ["Right click", "Alt+Click"], action: "help:subtract"},
    {group: "selection", keys: ["Shift+Click"], action: "help:another"},
    {group: "selection", keys: ["1", "2", "3"], match: (e) => bare(e) && /^[1-3]$/.test(e.key), action: "candidate"},
    {group: "selection", keys: ["+", "-"], match: plain("+", "=", "-"), action: "resize"},
    {group: "selection", keys: ["I"], match: plain("i"), action: "invert"},
    {group: "selection", keys: ["F"], match: plain("f"), action: "fill_holes"},
    {group: "selection", keys: ["K"], match: plain("k"), action: "keep"},
    {group: "selection", keys: ["Esc"], match: plain("escape"), action: "escape"},
    {group: "picture", keys: ["Ctrl+Enter"], match: command("enter"), action: "act"},
    {group: "picture", keys: ["Delete"], match: plain("delete", "backspace"), action: "remove"},
    {group: "picture", keys: ["Ctrl+Z"], match: command("z"), action: "undo"},
    {group: "picture", keys: ["Shift+Ctrl+Z", "Ctrl+Y"], match: (e) => command("z", true)(e) || command("y")(e), action: "redo"},
    {group: "picture", keys: ["Tab", "O"], match: plain("tab", "o"), action: "compare"},
    {group: "picture", keys: ["Ctrl+O"], match: command("o"), action: "open"},
    {group: "picture", keys: ["H"], match: plain("h"), action: "history"},
    {group: "picture", keys: ["D"], match: plain("d"), action: "datasets"},
    {group: "picture", keys: ["N"], match: plain("n"), action: "training"},
    {group: "picture", keys: ["Ctrl+V"], action: "help:paste"},
    {group: "picture", keys: ["Ctrl+C"], match: command("c"), action: "copy"},
    {group: "picture", keys: ["Ctrl+S"], match: command("s"), action: "save"},
    {group: "view", keys: ["Wheel"], action: "help:zoom"},
    {group: "view", keys: ["Space+Drag", "Middle drag"], action: "help:pan"},
    {group: "view", keys: ["0"], match: plain("0"), action: "fit"},
    {group: "view", keys: ["Arrows"], match: (e) => !e.ctrlKey && !e.metaKey && /^Arrow/.test(e.key), action: "move"},
    {group: "view", keys: ["Enter"], match: (e) => !e.ctrlKey && !e.metaKey && e.key === "Enter", action: "press"},
    {group: "view", keys: ["?"], match: (e) => e.key === "?" && !e.ctrlKey && !e.metaKey, action: "help"},
];

function bare(event) {
    return !event.ctrlKey && !event.metaKey && !event.altKey;
}

function plain(...keys) {
    return (event) => bare(event) && keys.includes(event.key.toLowerCase());
}

function command(key, shift = false) {
    return (event) => (event.ctrlKey || event.metaKey) && !event.altKey && event.shiftKey === shift && event.key.toLowerCase() === key;
}

/** The action of a key event, or null. @param {any} event @param {boolean} [film] whether a clip is open */
export function actionOf(event, film = false) {
    return SHORTCUTS.find((shortcut) => (film || shortcut.group !== "film") && shortcut.match?.(event))?.action ?? null;
}

/** How far an arrow key moves the crosshair, in steps: {x, y}. */
export function arrow(key) {
    return {ArrowLeft: {x: -1, y: 0}, ArrowRight: {x: 1, y: 0}, ArrowUp: {x: 0, y: -1}, ArrowDown: {x: 0, y: 1}}[key] ?? {x: 0, y: 0};
}

const NO_TEXT = ["range", "checkbox", "radio", "button", "submit", "reset", "file", "color"].map((type) => `[type=${type}]`).join(", ");

/** What each kind of control does with a key by itself; all other keys are the canvas's, wherever the focus is. */
const OWN_KEYS = [
    {place: "input[type=range], input[type=radio], [role=slider], [role=tab]", keys: /^(Arrow.*|Home|End|Page.*|Tab)$/},
    {place: "select, [role=listbox], [role=combobox], input[type=color]", keys: /^(Arrow.*|Home|End|Page.*|Tab|Enter|Escape|.)$/},
    {place: "button, a, summary, input, [role=button], [role=tab]", keys: /^( |Enter)$/},
];

/** Whether people write there. */
export function isText(target) {
    return Boolean(target?.closest?.(`input:not(${NO_TEXT}), textarea, [contenteditable=''], [contenteditable=true]`));
}

/** Whether a key pressed there is meant for that element (typing, moving a slider), not for the canvas. */
export function belongsToField({target, key, ctrlKey = false, metaKey = false}) {
    if (!target?.closest) return false;
    if (isText(target)) return true;
    return !ctrlKey && !metaKey && OWN_KEYS.some((own) => own.keys.test(key) && target.closest(own.place));
}

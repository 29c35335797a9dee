import assert from "node:assert/strict";
import test from "node:test";

import {belongsToField, isText} from "../../javascript/clickpaint/canvas/shortcuts.mjs";

/** An element as far as `closest` tells: it is what its selector names. */
const element = (matches) => ({closest: (selector) => (matches(selector) ? {} : null)});
const button = element((selector) => selector.startsWith("button"));
const slider = element((selector) => selector.includes("type=range]") && !selector.includes(":not("));
const list = element((selector) => selector.startsWith("select"));
const field = element((selector) => selector.includes(":not("));

test("whatever has the focus keeps only the keys that it uses", () => {
    const belongs = (target, key, more = {}) => belongsToField({target, key, ...more});
    for (const key of ["Delete", "c", "Escape", "+", "?"]) {
        assert.ok(!belongs(button, key), key);
        assert.ok(!belongs(slider, key), key);
        assert.ok(belongs(field, key), key);
    }
    for (const key of ["Enter", " "]) assert.ok(belongs(button, key), key);
    for (const key of ["ArrowLeft", "Home", "Tab"]) assert.ok(belongs(slider, key), key);
    assert.ok(belongs(list, "c"), "letters choose in a list");
    assert.ok(!belongs(list, "z", {ctrlKey: true}));
    assert.ok(belongs(field, "z", {ctrlKey: true}), "a text field undoes its own");
    assert.ok(!belongs(document_, "c"));
});

const document_ = {};

test("people write in text fields, not on sliders", () => {
    assert.ok(isText(field));
    assert.ok(!isText(slider) && !isText(button) && !isText(null));
});

/** A button with a menu of what is done with the selection besides removing it. */

import {h, iconButton} from "../common/dom.mjs";
import {icon} from "../common/icons.mjs";
import {t} from "../language/language.mjs";

export class MoreMenu {
    #listeners = new AbortController();

    /**
     * @param {import("../picture/editor.mjs").Editor} editor
     * @param {{key: string, icon: string, run: () => unknown, needs: "selection" | "picture"}[]} entries
     */
    constructor(editor, entries) {
        this.editor = editor;
        this.items = entries.map(({key, icon: name, run, needs}) => {
            const item = h("button.cp-menu-item", {type: "button", role: "menuitem", tabIndex: -1, onclick: () => (this.close(), run())}, icon(name), h("span", {}, t(key)));
            return {item, needs};
        });
        this.button = iconButton("more", t("more"), () => (this.open ? this.close() : this.show()));
        this.button.setAttribute("aria-haspopup", "menu");
        this.button.setAttribute("aria-expanded", "false");
        this.menu = h("div.cp-menu.cp-panel", {role: "menu", "aria-label": t("more"), hidden: true}, ...this.items.map(({item}) => item));
        this.element = h("div.cp-more", {}, this.button, this.menu);
        this.menu.addEventListener("keydown", (event) => this.#key(event));
        this.button.addEventListener("keydown", (event) => {
            if (event.key !== "ArrowDown") return;
            event.preventDefault();
            this.show();
        });
    }

    get open() {
        return !this.menu.hidden;
    }

    show() {
        this.update();
        this.menu.hidden = false;
        this.button.setAttribute("aria-expanded", "true");
        this.items.find(({item}) => !item.disabled)?.item.focus();
        this.#listeners = new AbortController();
        const away = (event) => !this.element.contains(event.target) && this.close(false);
        for (const type of ["pointerdown", "focusin"]) document.addEventListener(type, away, {signal: this.#listeners.signal, capture: true});
    }

    /** @param {boolean} [back] whether the focus goes back to the button */
    close(back = true) {
        this.#listeners.abort();
        this.menu.hidden = true;
        this.button.setAttribute("aria-expanded", "false");
        if (back) this.button.focus({preventScroll: true});
    }

    #key(event) {
        const able = this.items.map(({item}) => item).filter((item) => !item.disabled), at = able.indexOf(event.target);
        const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: able.length - 1}[event.key];
        if (to !== undefined) able.at(to % able.length)?.focus();
        else if (event.key === "Escape") this.close();
        else if (event.key === "Tab") return this.close(false);
        else return undefined;
        event.preventDefault();
        return event.stopPropagation();
    }

    update() {
        const {state} = this.editor;
        for (const {item, needs} of this.items) item.disabled = needs === "selection" && !state.selection;
    }
}

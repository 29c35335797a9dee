/** The files of the pictures opened last, in the browser: what the server has lost is uploaded again by itself. */

const MOST = 12, MOST_BYTES = 256e6;
const STORE = "files";

/** @typedef {{id: string, name: string, blob: Blob, at: number}} KeptFile */

/** Nothing here fails: where the browser keeps no files, there are none. */
export class KeptFiles {
    /** @type {Promise<IDBDatabase> | null} */
    #opened = null;

    /**
     * @param {string} name of the database
     * @param {IDBFactory | undefined} factory undefined where there is none
     */
    constructor(name, factory = globalThis.indexedDB) {
        this.name = name;
        this.factory = factory;
    }

    /**
     * Keep the file that a workspace was opened with. The oldest give way.
     *
     * @param {string} id of the workspace
     * @param {Blob} blob
     * @param {string} name
     */
    async put(id, blob, name) {
        if (blob.size > MOST_BYTES) return;
        const all = /** @type {KeptFile[]} */ ((await this.#run("readonly", (store) => store.getAll())) ?? []);
        let room = MOST_BYTES - blob.size;
        const others = all.filter((kept) => kept.id !== id).sort((a, b) => b.at - a.at);
        const gone = others.filter((kept, i) => (room -= kept.blob.size) < 0 || i >= MOST - 1);
        await this.#run("readwrite", (store) => {
            for (const kept of gone) store.delete(kept.id);
            return store.put({id, name, blob, at: Date.now()});
        });
    }

    /** @param {string} id @returns {Promise<KeptFile | null>} */
    async get(id) {
        return (await this.#run("readonly", (store) => store.get(id))) ?? null;
    }

    /** @param {string} id */
    async forget(id) {
        await this.#run("readwrite", (store) => store.delete(id));
    }

    /**
     * @param {IDBTransactionMode} mode
     * @param {(store: IDBObjectStore) => IDBRequest} ask
     * @returns {Promise<any>} undefined where it failed
     */
    async #run(mode, ask) {
        try {
            const store = (await this.#database()).transaction(STORE, mode).objectStore(STORE);
            return await answered(ask(store));
        } catch {
            return undefined;
        }
    }

    #database() {
        this.#opened ??= (async () => {
            if (!this.factory) throw new Error("There is no database.");
            const opening = this.factory.open(this.name, 1);
            opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, {keyPath: "id"});
            return answered(opening);
        })();
        return this.#opened;
    }
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function answered(request) {
    return new Promise((done, failed) => {
        request.onsuccess = () => done(request.result);
        request.onerror = () => failed(request.error);
    });
}

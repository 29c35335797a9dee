/** What ESLint asks of the page's modules and of their tests. */

import js from "@eslint/js";
import globals from "globals";

export default [
    {...js.configs.recommended, files: ["**/*.mjs"]},
    {
        files: ["**/*.mjs"],
        languageOptions: {ecmaVersion: 2024, sourceType: "module", globals: globals.browser},
        linterOptions: {reportUnusedDisableDirectives: "error"},
        rules: {
            "array-callback-return": "error",
            "eqeqeq": "error",
            "no-await-in-loop": "off",
            "no-constant-binary-expression": "error",
            "no-constructor-return": "error",
            "no-duplicate-imports": "error",
            "no-implicit-coercion": ["error", {boolean: false}],
            "no-self-compare": "error",
            "no-shadow": "error",
            "no-template-curly-in-string": "error",
            "no-unmodified-loop-condition": "error",
            "no-unreachable-loop": "error",
            "no-unused-private-class-members": "error",
            "no-unused-vars": ["error", {argsIgnorePattern: "^_", ignoreRestSiblings: true}],
            "no-useless-assignment": "error",
            "no-var": "error",
            "object-shorthand": "error",
            "prefer-const": "error",
            "prefer-rest-params": "error",
            "prefer-spread": "error",
            "prefer-template": "error",
            "require-atomic-updates": "off",
        },
    },
    {files: ["tests/js/**/*.mjs"], languageOptions: {globals: {...globals.browser, ...globals.node}}},
    {ignores: ["tests/js/node_modules/**"]},
];

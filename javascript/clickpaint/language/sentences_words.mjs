/** The sentences of the tab Words; part of the table in sentences.mjs. */

export const en = {
    "words.show": "Show the words",
    "words.differ": "Select by words",
    "words.differ.title": "Select where the checkpoint sees a difference between what it is and what it shall be",
    "words.seen": "Words that are seen in the picture",
    "words.threshold": "From",
    "words.select": "Select it",
    "words.selected": "“{word}” is selected.",
    "words.differs": "What differs is selected.",
    "words.say": "Say first what the picture shows.",
    "task.edit": "Edit by words",
};

export const zh_CN = {
    "words.show": "显示词语的位置",
    "words.differ": "用文字选择",
    "words.differ.title": "选择检查点认为“现在是什么”与“应当是什么”有差别的地方",
    "words.seen": "图片中看到的词语",
    "words.threshold": "起点",
    "words.select": "选择它",
    "words.selected": "已选择“{word}”。",
    "words.differs": "已选择有差别的部分。",
    "words.say": "请先说明图片显示什么。",
    "task.edit": "文字编辑",
};

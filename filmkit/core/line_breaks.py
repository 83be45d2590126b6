"""Where a line of text can be broken, and where its sentences end."""

from __future__ import annotations

import re
from functools import lru_cache

from uniseg.linebreak import line_break_units

from filmkit.core.fonts import is_east_asian

__all__ = ["CLOSING", "break_units", "sentences", "split_at"]

CLOSING = r"(?:[”“’\"')]|[\u00a0\u202f]?»)*"
"""Pattern of the marks that may stand between the end of a sentence and a blank.

In German, “ closes what „ opens.
"""

# Behind Chinese and Japanese marks there is no blank.
NEXT_SENTENCE = re.compile(rf"(?<=[.?!]){CLOSING}\s+|(?<=[。？！])[”’）」』]*")

NUMBER = re.compile(r"(?:^|[^A-Za-z0-9.,-])[0-9][0-9.,]* $")
ORDINAL = "第 "  # makes the number behind it an ordinal one, in Chinese and Japanese
NOT_FIRST = frozenset("%×‰—–…·:;!?»")
"""Signs that begin no line although a blank may stand before them."""

# Chinese is written without blanks, and a line may end inside a word; but words of this field, and
# the most frequent of all, are easier to read in one piece.
CHINESE_WORDS = (
    "注意力图 注意力 词元 提示词 查询 键值 向量 潜在向量 潜在 矩阵 模型 分数 缓存 权重 旋转 转置 "
    "掩码 偏置 内存 显存 参数 通道 输出 输入 数字 格子 占比 平均值 平均 误差 比例 位置 距离 乘法 "
    "乘积 总和 之和 序列 语言 句子 芯片 卡片 影片 滑块 括号 内容 习惯 方式 时间 部分 训练 未经 "
    "计算 算出 生成 产生 得到 变成 学到 读取 读完 传出 留下 保留 存下 存法 共享 共用 重建 重算 "
    "重新 构建 复制 拟合 吸收 朴素 混合 移动 相乘 相加 拨到 拨动 显示 露出 离开 落到 落在 遇到 "
    "遮住 测试 打分 认识 记住 记得 接上 接着 开始 开头 回答 提问 回看 停在 结成 小队 累积 降到 "
    "合起来 做到 做不到 用不到 读到 加入 穿过 经过 生效 作用 对决 续写 它们 我们 你们 他们 自己 "
    "每个 每层 每行 每组 这个 这些 这样 这里 那个 那些 那里 哪里 什么 如何 怎样 任何 所有 全部 "
    "全都 整个 其中 其余 另外 另一 别的 同一 同样 同时 一个 一行 一列 一层 一组 一片 一份 一样 "
    "一起 一切 一次 一半 一句话 两个 两者 三个 四项 第一 第二 第三 最后 下一个 唯一 只有 没有 "
    "还没 从未 不再 再也 不必 不用 不变 不论 所以 因为 如果 假如 但是 而且 可以 本可以 仍然 几乎 "
    "直接 实际 正是 就是 还是 总是 难道 能否 早就 左边 右边 旁边 上方 下方 正面 内部 以上 以下 "
    "个头 更少 更多 小小 来回 粗略 出来 综合"
)
WORDS = re.compile("|".join(sorted(CHINESE_WORDS.split(), key=len, reverse=True)))


def break_units(text: str) -> list[str]:
    """Return the parts of a text between which a line can be broken, with the blanks behind them.

    A text is broken at blanks, but not at a no-break space, never in front of a dash, nor between a
    number and the sign of percent or of multiplication behind it. Chinese and Japanese, which have
    no blanks, are broken between characters as Unicode's rules say (UAX 14), so that no line begins
    with a full stop; but not inside a frequent word, nor between a number and what is counted.

    >>> break_units("no more than 19 %")
    ['no ', 'more ', 'than ', '19 %']
    >>> break_units("第 3 个头的查询。")
    ['第 3 个头', '的', '查询。']
    """
    units: list[str] = []
    for word in re.findall(r"[^ ]+ ?", text):
        for unit in _east_asian_units(word) if is_east_asian(word) else [word]:
            if units and _is_held(units[-1], unit):
                units[-1] += unit
            else:
                units.append(unit)
    return units


@lru_cache(maxsize=1024)
def _east_asian_units(text: str) -> tuple[str, ...]:
    """Return the parts of a text without blanks; finding them takes time."""
    inside = {i for match in WORDS.finditer(text) for i in range(match.start() + 1, match.end())}
    units: list[str] = []
    place = 0
    for part in line_break_units(text):
        if place in inside:
            units[-1] += part
        else:
            units.append(part)
        place += len(part)
    return tuple(units)


def _is_held(before: str, unit: str) -> bool:
    """Return whether a line must not be broken between two parts of a text."""
    if unit[0] in NOT_FIRST:
        return True
    if before.endswith(ORDINAL):
        return unit[0].isdigit()
    if before.endswith("-"):  # inside a name such as DeepSeek-V2
        return before[-2:-1].isalnum()
    return bool(NUMBER.search(before)) and is_east_asian(unit[0])


def sentences(text: str) -> list[tuple[int, int]]:
    """Return where each sentence of a text begins and ends, in characters."""
    return split_at(text, NEXT_SENTENCE)


def split_at(text: str, gap: re.Pattern[str]) -> list[tuple[int, int]]:
    """Return where the parts of a text begin and end; what matches without its space is kept."""
    starts, ends = [0], []
    for match in gap.finditer(text):
        ends.append(match.start() + len(match[0].rstrip()))
        starts.append(match.end())
    spans = zip(starts, [*ends, len(text)], strict=True)
    return [(start, end) for start, end in spans if start < end]

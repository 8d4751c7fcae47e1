"""The syntax of Go templates: text to a tree, or an error with its place.

Source: https://pkg.go.dev/text/template and Go's text/template/parse. Unknown functions and
variables are errors here, as they are there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from forewarn_collector.rules.template_constants import constant
from forewarn_collector.rules.template_hints import of_variable
from forewarn_collector.rules.template_language import Language
from forewarn_collector.rules.template_nodes import (
    Action,
    Branch,
    Command,
    Dot,
    Field,
    Function,
    Include,
    Jump,
    Literal,
    Node,
    Operand,
    Pipe,
    TemplateError,
    Text,
    Tree,
    Variable,
)

_SPACE = " \t\r\n"
# Possessive and atomic: a quote that is never closed must not be tried in every other way.
_PIECE = re.compile(
    r"""\{\{(?P<trim>-[ \t\r\n]+)?
    (?:(?P<comment>/\*.*?\*/)(?P<after>[ \t\r\n]+-)?
    | (?P<inside>(?!/\*)
        (?>"(?:\\.|[^"\\\n])*+"|`[^`]*+`|'(?:\\.|[^'\\\n])++'|(?!\}\})[^"`'])*+))
    \}\}""",
    re.S | re.X,
)
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    | (?P<text>"(?:\\.|[^"\\\n])*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:\\.|[^'\\\n])+')
    | (?P<number>[+-]?(?:[0-9]|\.[0-9])(?:[eE][+-](?=[0-9])|(?<=[pP])[+-]|[\w.])*)
    | (?P<variable>\$\w*)
    | (?P<field>\.[^\W\d]\w*)
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>:=|[=|(),.])""",
    re.X,
)
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def parse(text: str, language: Language, variables: Collection[str] = ()) -> Tree:
    """Read a template of a language that may use these variables (with `$`).

    Raises TemplateError with the offset of what is wrong.
    """
    try:
        return _Parser(text, language, variables).tree()
    except RecursionError:
        raise TemplateError("the template is nested too deeply") from None


class _Parser:
    def __init__(self, text: str, language: Language, variables: Collection[str]) -> None:
        self._text = text
        self._functions = language.names
        self._hint = language.hint
        self._scope = ["$", *variables]
        self._tree = Tree()
        self._pieces = self._split()
        self._next = 0
        self._tokens: list[_Token] = []
        self._depth = 0
        self._loops = 0
        self._closed = 0
        self._within_definition = False

    def tree(self) -> Tree:
        nodes, word = self._nodes()
        if word is not None:
            raise TemplateError(f"unexpected {{{{{word.text}}}}}", word.start)
        self._tree.nodes = nodes
        return self._tree

    # Pieces: text, and actions as lists of tokens.

    def _split(self) -> list[str | list[_Token]]:
        pieces: list[str | list[_Token]] = []
        end = 0
        trims = False
        while (start := self._text.find("{{", end)) >= 0:
            match = _PIECE.match(self._text, start)
            if match is None:
                comment = self._text.startswith(("{{/*", "{{- /*"), start)
                wrong = "unclosed comment" if comment else "unclosed action: '{{' without '}}'"
                raise TemplateError(wrong, start)
            before = self._text[end:start]
            before = before.lstrip(_SPACE) if trims else before
            pieces.append(before.rstrip(_SPACE) if match["trim"] else before)
            inside = match["inside"]
            trims = match["after"] is not None
            if inside is not None:
                trims = inside[-1:] == "-" and inside[-2:-1] in _SPACE and len(inside) > 1
                inside = inside[:-1] if trims else inside
                pieces.append(self._lex(inside, match.start("inside")))
            end = match.end()
        pieces.append(self._text[end:].lstrip(_SPACE) if trims else self._text[end:])
        return pieces

    def _lex(self, inside: str, start: int) -> list[_Token]:
        tokens = []
        position = 0
        while position < len(inside):
            match = _TOKEN.match(inside, position)
            if match is None:
                wrong = f"unexpected {inside[position]!r} in an action"
                hint = "a comment is {{/* so */}}" if inside[position] == "/" else ""
                raise TemplateError(wrong, start + position, hint)
            if match.lastgroup != "space":
                tokens.append(_Token(str(match.lastgroup), match[0], start + position))
            position = match.end()
        tokens.append(_Token("end", "", start + len(inside)))
        return tokens

    # Nodes.

    def _nodes(self) -> tuple[tuple[Node, ...], _Token | None]:
        """Nodes up to an `end` or `else` that is not theirs (returned), or to the text's end."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TemplateError("the template is nested too deeply", None)
        nodes: list[Node] = []
        closing = None
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            self._next += 1
            if isinstance(piece, str):
                if piece:
                    nodes.append(Text(piece))
                continue
            self._tokens = piece
            if self._tokens[0].text in {"end", "else"}:
                closing = self._take()
                break
            node = self._node()
            if node is not None:
                nodes.append(node)
        self._depth -= 1
        return tuple(nodes), closing

    def _node(self) -> Node | None:
        first = self._tokens[0]
        if first.kind == "word" and first.text in {"if", "with", "range"}:
            return self._branch(self._take())
        if first.kind == "word" and first.text in {"break", "continue"}:
            if not self._loops:
                raise TemplateError(f"{{{{{first.text}}}}} outside {{{{range}}}}", first.start)
            self._take()
            self._end_of_action()
            return Jump(first.text)
        if first.kind == "word" and first.text in {"define", "template", "block"}:
            return self._named(self._take())
        pipe = self._pipe(first)
        self._end_of_action()
        return Action(pipe)

    def _branch(self, word: _Token) -> Branch:
        outside = len(self._scope)
        pipe = self._pipe(word, word.text == "range")
        self._end_of_action()
        self._loops += word.text == "range"
        body, closing = self._nodes()
        self._loops -= word.text == "range"
        otherwise: tuple[Node, ...] = ()
        if closing is not None and closing.text == "else":
            after = self._tokens[0]
            if after.kind == "word" and after.text == word.text and word.text != "range":
                # `else if` shares the outer `end`, and so does `else with`.
                otherwise = (self._branch(self._take()),)
                del self._scope[outside:]
                return Branch(word.text, pipe, body, otherwise)
            self._end_of_action()
            otherwise, closing = self._nodes()
        if closing is None or closing.text != "end":
            raise TemplateError(f"{{{{{word.text}}}}} without {{{{end}}}}", word.start)
        self._end_of_action()
        del self._scope[outside:]
        return Branch(word.text, pipe, body, otherwise)

    def _named(self, word: _Token) -> Include | None:
        if word.text == "define" and (self._depth > 1 or self._within_definition):
            raise TemplateError("{{define}} within another block", word.start)
        token = self._take()
        if token.kind not in {"text", "raw"}:
            raise TemplateError(f"{word.text} needs a name in quotes", token.start)
        name = str(constant(token.kind, token.text, token.start))
        pipe = None
        if word.text == "block" or (word.text == "template" and self._tokens[0].kind != "end"):
            pipe = self._pipe(word)
        self._end_of_action()
        if word.text != "define":
            self._tree.included.add(name)
        if word.text != "template":
            self._define(word, name)
        return None if word.text == "define" else Include(name, pipe, word.start)

    def _define(self, word: _Token, name: str) -> None:
        # A template of its own sees none of the variables around it, only `$`, and no loop.
        outside = self._scope, self._loops, self._within_definition
        self._scope, self._loops, self._within_definition = ["$"], 0, True
        nodes, closing = self._nodes()
        self._scope, self._loops, self._within_definition = outside
        if closing is None or closing.text != "end":
            raise TemplateError(f"{{{{{word.text}}}}} without {{{{end}}}}", word.start)
        self._end_of_action()
        if not is_empty(self._tree.defined.get(name, ())):
            if not is_empty(nodes):
                raise TemplateError(f"multiple definition of template {name!r}", word.start)
            return
        self._tree.defined[name] = nodes

    # Within an action.

    def _take(self) -> _Token:
        token = self._tokens[0]
        if token.kind != "end":
            del self._tokens[0]
        return token

    def _end_of_action(self) -> None:
        token = self._tokens[0]
        if token.kind != "end":
            raise TemplateError(f"unexpected {token.text!r} in an action", token.start)

    def _pipe(self, where: _Token, two: bool = False) -> Pipe:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TemplateError("the template is nested too deeply", where.start)
        start = self._tokens[0].start
        names, assigns = self._declaration(two)
        commands = [self._command(where)]
        while self._tokens[0].text == "|" and self._tokens[0].kind == "sign":
            bar = self._take()
            if self._tokens[0].kind == "end" or self._tokens[0].text == ")":
                break  # Go allows a last `|` with nothing after it.
            commands.append(self._command(bar))
            if isinstance(commands[-1].operands[0], (Literal, Dot)):
                raise TemplateError("only a function can follow '|'", bar.start)
        self._scope += names
        self._depth -= 1
        return Pipe(tuple(commands), names, assigns, start)

    def _declaration(self, two: bool) -> tuple[tuple[str, ...], bool]:
        kinds = [token.text if token.kind == "sign" else token.kind for token in self._tokens[:4]]
        count = 3 if two and kinds[:3] == ["variable", ",", "variable"] else 1
        if kinds[0] != "variable" or kinds[count : count + 1] not in ([":="], ["="]):
            return (), False
        tokens = self._tokens[: count + 1]
        del self._tokens[: count + 1]
        # Go, too, finds out only when it carries it out whether what `=` sets was declared.
        return tuple(token.text for token in tokens[:-1:2]), tokens[-1].text == "="

    def _command(self, where: _Token) -> Command:
        operands: list[Operand] = []
        start = end = self._tokens[0].start
        while (token := self._tokens[0]).kind != "end" and token.text not in {"|", ")"}:
            if operands and token.start == end:
                raise TemplateError(f"unexpected {token.text!r}; put a space before it", end)
            operand, end = self._operand()
            operands.append(operand)
        if not operands:
            raise TemplateError("missing value", where.start)
        return Command(tuple(operands), start)

    def _operand(self) -> tuple[Operand, int]:
        token = self._take()
        operand = self._simple(token)
        end = token.end if token.text != "(" else self._closed
        names = []
        while self._tokens[0].kind == "field" and self._tokens[0].start == end:
            names.append(self._tokens[0].text[1:])
            end = self._take().end
        if isinstance(operand, Field):
            return Field(operand.of, (*operand.names, *names), operand.at), end
        if names and isinstance(operand, (Literal, Dot)):
            raise TemplateError(f"{token.text} has no fields", token.start)
        return (Field(operand, tuple(names), token.start) if names else operand), end

    def _simple(self, token: _Token) -> Operand:
        if token.kind == "variable":
            return self._known(token)
        if token.kind == "field":
            return Field(Dot(token.start), (token.text[1:],), token.start)
        if token.kind in {"text", "raw", "char", "number"}:
            return Literal(constant(token.kind, token.text, token.start), token.text, token.start)
        if token.kind == "word":
            return self._word(token)
        if token.text == ".":
            return Dot(token.start)
        if token.text == "(":
            pipe = self._pipe(token)
            closing = self._take()
            if closing.text != ")":
                raise TemplateError("'(' without ')'", token.start)
            self._closed = closing.end
            return pipe
        raise TemplateError(f"unexpected {token.text or 'end'!r} in an action", token.start)

    def _word(self, token: _Token) -> Operand:
        if token.text in _WORDS:
            return Literal(_WORDS[token.text], token.text, token.start)
        if token.text in _KEYWORDS:
            raise TemplateError(f"unexpected {{{{{token.text}}}}} in an action", token.start)
        if token.text not in self._functions:
            hint = self._hint(token.text, self._functions)
            raise TemplateError(f"function {token.text!r} not defined", token.start, hint)
        self._tree.functions.add(token.text)
        return Function(token.text, token.start)

    def _known(self, token: _Token) -> Variable:
        if token.text not in self._scope:
            hint = of_variable(token.text, self._scope, self._within_definition)
            raise TemplateError(f"undefined variable {token.text!r}", token.start, hint)
        return Variable(token.text, token.start)


def is_empty(nodes: Sequence[Node]) -> bool:
    """Whether a template has nothing but space in it, so that it replaces none of its name."""
    return all(isinstance(node, Text) and not node.text.strip() for node in nodes)


_KEYWORDS = frozenset(
    {"block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"}
)
_WORDS = {"true": True, "false": False, "nil": None}

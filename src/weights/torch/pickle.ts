import { FileFormatError, UnsupportedModelError } from '../../errors.ts';
import { countBytes } from '../../io/error-text.ts';
import { brokenTorchFile } from './broken-torch-file.ts';
import { PickleBytes } from './pickle-bytes.ts';
import { isGlobal, isInert, isTensor, type PickleGlobal, type PickleValue } from './pickle-value.ts';

/**
 * Python's pickle is a program for a small stack machine whose instructions can import any name and call it. This is that
 * machine without the power: a name is looked up in a closed table and never imported, a call is one of the table's
 * functions, and an attribute is never set. The instructions are those that torch's writers use, of protocols 1 to 5
 * (https://docs.python.org/3/library/pickletools.html); any other is refused. A file can waste no more than its own size:
 * no length reserves memory, nesting does not recurse, and the number of steps is limited.
 */

/** Names and stored values that a pickle may refer to. */
export interface PickleRules {
  /** The value of a Python name (`torch.FloatStorage`); `undefined` for one that is not in the table. */
  global(name: string): PickleGlobal | undefined;
  /** Resolves a persistent id to a value stored beside the pickle; `undefined` for an unknown one. */
  persistent(id: PickleValue): PickleValue | undefined;
}

/** A pickle's value, and the place behind its last byte. */
export interface Unpickled {
  readonly value: PickleValue;
  readonly end: number;
}

/** Enough for 25,000 tensors, at about 80 steps each. It also bounds the stack, the memo and all lists and dicts. */
const MAX_STEPS = 2_000_000;

/** Steps that take as much memory as one instruction may: for a dict, for a list or tuple, for a value that is kept. */
const DICT_STEPS = 16;
const LIST_STEPS = 3;
const KEEP_STEPS = 2;

/** The pickle is the only part of a file that is in memory; that of the largest checkpoints has a few MB. */
export const MAX_PICKLE_BYTES = 1 << 28;

/** Throws `UnsupportedModelError` for a pickle that is too large to be read. */
export function checkPickleSize(bytes: number, file: string): void {
  if (bytes <= MAX_PICKLE_BYTES) return;
  throw new UnsupportedModelError({
    problem: `${file} has a pickle that is too large to be read.`,
    details: { expected: `at most ${countBytes(MAX_PICKLE_BYTES)}`, found: countBytes(bytes) },
    advice: 'It holds its numbers in an unusual way: use the .safetensors of the same model.',
  });
}

/** The magic number of torch files has 10. */
const MAX_INTEGER_BYTES = 16;

/**
 * Reads the pickle that begins at `start`, running nothing. Throws `FileFormatError` for what the rules or the format
 * refuse, `PickleEndsError` when the bytes end before the pickle does; `file` names it in errors.
 */
export function readPickle(bytes: Uint8Array, start: number, rules: PickleRules, file: string): Unpickled {
  const machine = new PickleMachine(new PickleBytes(bytes, start), rules, file);
  const value = machine.run();
  return { value, end: machine.input.position };
}

class PickleMachine {
  readonly input: PickleBytes;
  readonly rules: PickleRules;
  readonly file: string;
  /** Stack positions of the open marks; values under the last one are out of reach. */
  readonly marks: number[] = [];
  readonly memo = new Map<number, PickleValue>();
  #stack: PickleValue[] = [];
  #steps = 0;

  constructor(input: PickleBytes, rules: PickleRules, file: string) {
    this.input = input;
    this.rules = rules;
    this.file = file;
  }

  run(): PickleValue {
    for (let opcode = this.input.uint8(); opcode !== STOP; opcode = this.input.uint8()) {
      const instruction = instructions.get(opcode);
      if (!instruction)
        throw this.refusal(`has an instruction that PyTorch does not write, 0x${opcode.toString(16)}`);
      this.spend(1);
      instruction(this);
    }
    return this.pop();
  }

  /** Counts work, so that a small file cannot cause much of it. */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS)
      throw this.refusal(`takes more than ${MAX_STEPS.toLocaleString('en-US')} steps`);
  }

  push(value: PickleValue): void {
    this.#stack.push(value);
  }

  pop(): PickleValue {
    const value = this.top();
    this.#stack.pop();
    return value;
  }

  top(): PickleValue {
    const value = this.#stack.length > (this.marks.at(-1) ?? 0) ? this.#stack.at(-1) : undefined;
    if (value === undefined) throw this.refusal('takes a value from an empty stack');
    return value;
  }

  mark(): void {
    this.marks.push(this.#stack.length);
  }

  /** Pops the values above the last mark. */
  popToMark(): PickleValue[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw this.refusal('ends a group that it did not begin');
    return this.#stack.splice(mark);
  }

  /** A new list, or a tuple of items. */
  pushList(items: PickleValue[] = []): void {
    this.spend(LIST_STEPS);
    this.push(items);
  }

  pushDict(): void {
    this.spend(DICT_STEPS);
    this.push(new Map());
  }

  popTuple(length: number): void {
    const items = Array.from({ length }, () => this.pop());
    this.pushList(items.reverse());
  }

  remember(index: number): void {
    this.spend(KEEP_STEPS);
    this.memo.set(index, this.top());
  }

  recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw this.refusal('recalls a value that it did not keep');
    this.push(value);
  }

  pushGlobal(module: string, name: string): void {
    const full = `${module}.${name}`;
    if (!/^[\w.]{1,200}$/.test(full)) throw this.refusal('refers to a name that no PyTorch file has');
    const value = this.rules.global(full);
    if (!value) throw unknownGlobal(this.file, full);
    this.push(value);
  }

  pushInteger(bytes: Uint8Array): void {
    if (bytes.length > MAX_INTEGER_BYTES) throw this.refusal(`has an integer of ${bytes.length} bytes`);
    let bits = 0n;
    for (const byte of bytes.toReversed()) bits = (bits << 8n) | BigInt(byte);
    const value = BigInt.asIntN(8 * bytes.length, bits);
    this.push(Number.isSafeInteger(Number(value)) ? Number(value) : value);
  }

  /** Calls a name of the table with a tuple; both are on the stack. */
  call(): void {
    const args = this.pop();
    const callee = this.pop();
    if (isGlobal(callee) && callee.isUnknown) throw unknownGlobal(this.file, callee.name);
    if (!isGlobal(callee) || !callee.make) throw this.refusal('calls something that is not a function');
    if (!Array.isArray(args)) throw this.refusal(`calls ${callee.name} without a list of arguments`);
    this.spend(DICT_STEPS + args.length);
    for (const argument of args) if (Array.isArray(argument)) this.spend(argument.length);
    const made = callee.make(args);
    if (made === undefined) throw this.refusal(`calls ${callee.name} with arguments that it does not take`);
    this.push(made);
  }

  /** Makes an object of a class and a tuple, which are on the stack; that of an unknown class is a tag. */
  makeObject(): void {
    const args = this.pop();
    const callee = this.top();
    if (!isGlobal(callee) || !callee.isUnknown) {
      this.push(args);
      this.call();
      return;
    }
    this.spend(LIST_STEPS);
    this.pop();
    this.push({ kind: 'inert', name: callee.name });
  }

  pushPersistent(): void {
    const value = this.rules.persistent(this.pop());
    if (value === undefined) throw this.refusal('refers to something that is not a storage');
    this.push(value);
  }

  addItems(items: readonly PickleValue[]): void {
    const target = this.top();
    if (Array.isArray(target)) for (const item of items) target.push(item);
    else if (!isInert(target)) throw this.refusal('adds to something that is not a list');
  }

  setItems(items: readonly PickleValue[]): void {
    const target = this.top();
    if (items.length % 2 !== 0) throw this.refusal('has a key without a value');
    if (target instanceof Map) {
      for (let i = 0; i < items.length; i += 2) target.set(items[i] ?? null, items[i + 1] ?? null);
    } else if (!isInert(target)) throw this.refusal('sets an item of something that is not a dict');
  }

  /**
   * The state of an object (`_metadata` of a state dict, the fields of a callback) is nothing that weights need, but for
   * the dict that a `ParameterDict` keeps its tensors in: it takes the object's place.
   */
  setState(): void {
    const state = this.pop();
    const target = this.top();
    if (!(target instanceof Map || isInert(target) || isTensor(target)))
      throw this.refusal('sets the state of something that has none');
    const parameters = state instanceof Map ? state.get('_parameters') : undefined;
    if (!(target instanceof Map) || target.size > 0 || !(parameters instanceof Map)) return;
    this.pop();
    this.push(parameters);
  }

  refusal(what: string): FileFormatError {
    return brokenTorchFile(this.file, `its pickle ${what}`);
  }
}

function unknownGlobal(file: string, name: string): FileFormatError {
  return new FileFormatError({
    problem: `${file} refers to ${name}, which weights have no need of: it was refused, and nothing was run.`,
    advice:
      'Use the .safetensors of the same model. If you do not know the name, do not open the file with tools that load pickles: it may be hostile.',
  });
}

const STOP = 0x2e;

type Instruction = (machine: PickleMachine) => void;

/** The instructions by opcode, in pickletools' names; memo, stack and mark as Python's documentation describes them. */
const instructions: ReadonlyMap<number, Instruction> = new Map<number, Instruction>([
  [0x80, proto],
  [0x95, ({ input }) => void input.uint64()], // FRAME: a hint for buffering

  [0x4e, (m) => m.push(null)], // NONE
  [0x88, (m) => m.push(true)], // NEWTRUE
  [0x89, (m) => m.push(false)], // NEWFALSE
  [0x4a, (m) => m.push(m.input.int32())], // BININT
  [0x4b, (m) => m.push(m.input.uint8())], // BININT1
  [0x4d, (m) => m.push(m.input.uint16())], // BININT2
  [0x8a, (m) => m.pushInteger(m.input.view(m.input.uint8()))], // LONG1
  [0x8b, (m) => m.pushInteger(m.input.view(m.input.int32()))], // LONG4
  [0x49, (m) => pushDecimal(m, m.input.line())], // INT
  [0x4c, (m) => pushDecimal(m, m.input.line().replace(/L$/, ''))], // LONG
  [0x47, (m) => m.push(m.input.float64())], // BINFLOAT

  [0x58, (m) => m.push(m.input.text(m.input.uint32()))], // BINUNICODE
  [0x8c, (m) => m.push(m.input.text(m.input.uint8()))], // SHORT_BINUNICODE
  [0x8d, (m) => m.push(m.input.text(m.input.uint64()))], // BINUNICODE8
  [0x54, (m) => m.push(m.input.text(m.input.int32()))], // BINSTRING, of Python 2
  [0x55, (m) => m.push(m.input.text(m.input.uint8()))], // SHORT_BINSTRING
  [0x42, (m) => m.push(m.input.view(m.input.uint32()))], // BINBYTES
  [0x43, (m) => m.push(m.input.view(m.input.uint8()))], // SHORT_BINBYTES
  [0x8e, (m) => m.push(m.input.view(m.input.uint64()))], // BINBYTES8
  [0x96, (m) => m.push(m.input.view(m.input.uint64()))], // BYTEARRAY8

  [0x28, (m) => m.mark()], // MARK
  [0x30, (m) => void m.pop()], // POP
  [0x31, (m) => void m.popToMark()], // POP_MARK
  [0x32, (m) => m.push(m.top())], // DUP
  [0x29, (m) => m.pushList()], // EMPTY_TUPLE
  [0x74, (m) => m.pushList(m.popToMark())], // TUPLE
  [0x85, (m) => m.popTuple(1)], // TUPLE1
  [0x86, (m) => m.popTuple(2)], // TUPLE2
  [0x87, (m) => m.popTuple(3)], // TUPLE3
  [0x5d, (m) => m.pushList()], // EMPTY_LIST
  [0x61, (m) => m.addItems([m.pop()])], // APPEND
  [0x65, (m) => m.addItems(m.popToMark())], // APPENDS
  [0x7d, (m) => m.pushDict()], // EMPTY_DICT
  [0x73, (m) => m.setItems([m.pop(), m.pop()].reverse())], // SETITEM
  [0x75, (m) => m.setItems(m.popToMark())], // SETITEMS
  [0x8f, (m) => m.pushList()], // EMPTY_SET
  [0x90, (m) => m.addItems(m.popToMark())], // ADDITEMS
  [0x91, (m) => m.pushList(m.popToMark())], // FROZENSET

  [0x71, (m) => m.remember(m.input.uint8())], // BINPUT
  [0x72, (m) => m.remember(m.input.uint32())], // LONG_BINPUT
  [0x94, (m) => m.remember(m.memo.size)], // MEMOIZE
  [0x68, (m) => m.recall(m.input.uint8())], // BINGET
  [0x6a, (m) => m.recall(m.input.uint32())], // LONG_BINGET

  [0x63, (m) => m.pushGlobal(m.input.line(), m.input.line())], // GLOBAL
  [0x93, stackGlobal],
  [0x52, (m) => m.call()], // REDUCE
  [0x81, (m) => m.makeObject()], // NEWOBJ
  [0x92, newObjectWithKeywords],
  [0x62, (m) => m.setState()], // BUILD
  [0x51, (m) => m.pushPersistent()], // BINPERSID
]);

function proto(machine: PickleMachine): void {
  const protocol = machine.input.uint8();
  if (protocol > 5) throw machine.refusal(`is of protocol ${protocol}, which is not known`);
}

function pushDecimal(machine: PickleMachine, digits: string): void {
  if (!/^-?\d{1,38}$/.test(digits)) throw machine.refusal('has an integer that is none');
  const value = Number(digits);
  if (digits === '00' || digits === '01')
    machine.push(digits === '01'); // a bool of protocol 1
  else machine.push(Number.isSafeInteger(value) ? value : BigInt(digits));
}

function stackGlobal(machine: PickleMachine): void {
  const name = machine.pop();
  const module = machine.pop();
  if (typeof module !== 'string' || typeof name !== 'string')
    throw machine.refusal('refers to a name that is no text');
  machine.pushGlobal(module, name);
}

/** NEWOBJ_EX: the result does not depend on the keyword arguments. */
function newObjectWithKeywords(machine: PickleMachine): void {
  machine.pop();
  machine.makeObject();
}

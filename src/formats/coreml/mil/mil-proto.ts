/**
 * The messages of `model.mlmodel` that an ML Program needs, with Apple's names and field numbers (coremltools,
 * mlmodel/format/{Model,FeatureTypes,MIL}.proto). Enumerations are written as int32, which is the same on the wire;
 * `mil-dtype.ts` names their values. Kinds of model that are not ML Programs are kept as undecoded bytes.
 */
export const milProto = `
syntax = "proto3";

message Model {
  int32 specificationVersion = 1;
  ModelDescription description = 2;
  bool isUpdatable = 10;
  oneof Type {
    bytes pipelineClassifier = 200;
    bytes pipelineRegressor = 201;
    Pipeline pipeline = 202;
    bytes neuralNetwork = 500;
    Program mlProgram = 502;
    bytes serializedModel = 3000;
  }
}
message Pipeline {
  repeated Model models = 1;
  repeated string names = 2;
}
message ModelDescription {
  repeated FeatureDescription input = 1;
  repeated FeatureDescription output = 10;
  string predictedFeatureName = 11;
  string predictedProbabilitiesName = 12;
  repeated FeatureDescription state = 13;
  repeated FunctionDescription functions = 20;
  string defaultFunctionName = 21;
  repeated FeatureDescription trainingInput = 50;
  Metadata metadata = 100;
}
message FunctionDescription {
  string name = 1;
  repeated FeatureDescription input = 2;
  repeated FeatureDescription output = 3;
  string predictedFeatureName = 4;
  string predictedProbabilitiesName = 5;
  repeated FeatureDescription state = 6;
}
message FeatureDescription {
  string name = 1;
  string shortDescription = 2;
  FeatureType type = 3;
}
message Metadata {
  string shortDescription = 1;
  string versionString = 2;
  string author = 3;
  string license = 4;
  map<string, string> userDefined = 100;
}
message FeatureType {
  oneof Type {
    bytes int64Type = 1;
    bytes doubleType = 2;
    bytes stringType = 3;
    bytes imageType = 4;
    ArrayFeatureType multiArrayType = 5;
    bytes dictionaryType = 6;
    bytes sequenceType = 7;
    StateFeatureType stateType = 8;
  }
  bool isOptional = 1000;
}
message StateFeatureType {
  oneof Type { ArrayFeatureType arrayType = 1; }
}
message ArrayFeatureType {
  repeated int64 shape = 1;
  int32 dataType = 2;
  oneof ShapeFlexibility {
    EnumeratedShapes enumeratedShapes = 21;
    ShapeRange shapeRange = 31;
  }
  oneof defaultOptionalValue {
    int32 intDefaultValue = 41;
    float floatDefaultValue = 51;
    double doubleDefaultValue = 61;
  }
  message Shape { repeated int64 shape = 1; }
  message EnumeratedShapes { repeated Shape shapes = 1; }
  message ShapeRange { repeated SizeRange sizeRanges = 1; }
}
message SizeRange {
  uint64 lowerBound = 1;
  int64 upperBound = 2;
}

message Program {
  int64 version = 1;
  map<string, Function> functions = 2;
  string docString = 3;
  map<string, Value> attributes = 4;
}
message Function {
  repeated NamedValueType inputs = 1;
  string opset = 2;
  map<string, Block> block_specializations = 3;
  map<string, Value> attributes = 4;
}
message Block {
  repeated NamedValueType inputs = 1;
  repeated string outputs = 2;
  repeated Operation operations = 3;
  map<string, Value> attributes = 4;
}
message Operation {
  string type = 1;
  map<string, Argument> inputs = 2;
  repeated NamedValueType outputs = 3;
  repeated Block blocks = 4;
  map<string, Value> attributes = 5;
}
message Argument {
  repeated Binding arguments = 1;
  message Binding {
    oneof binding {
      string name = 1;
      Value value = 2;
    }
  }
}
message NamedValueType {
  string name = 1;
  ValueType type = 2;
}
message ValueType {
  oneof type {
    TensorType tensorType = 1;
    ListType listType = 2;
    TupleType tupleType = 3;
    DictionaryType dictionaryType = 4;
    StateType stateType = 5;
  }
}
message TensorType {
  int32 dataType = 1;
  int64 rank = 2;
  repeated Dimension dimensions = 3;
  map<string, Value> attributes = 4;
}
message ListType {
  ValueType type = 1;
  Dimension length = 2;
}
message TupleType { repeated ValueType types = 1; }
message DictionaryType {
  ValueType keyType = 1;
  ValueType valueType = 2;
}
message StateType { ValueType wrappedType = 1; }
message Dimension {
  oneof dimension {
    ConstantDimension constant = 1;
    UnknownDimension unknown = 2;
  }
  message ConstantDimension { uint64 size = 1; }
  message UnknownDimension { bool variadic = 1; }
}
message Value {
  string docString = 1;
  ValueType type = 2;
  oneof value {
    ImmediateValue immediateValue = 3;
    BlobFileValue blobFileValue = 5;
  }
  message ImmediateValue {
    oneof value {
      TensorValue tensor = 1;
      TupleValue tuple = 2;
      ListValue list = 3;
      DictionaryValue dictionary = 4;
    }
  }
  message BlobFileValue {
    string fileName = 1;
    uint64 offset = 2;
  }
}
message TensorValue {
  oneof value {
    RepeatedFloats floats = 1;
    RepeatedInts ints = 2;
    RepeatedBools bools = 3;
    RepeatedStrings strings = 4;
    RepeatedLongInts longInts = 5;
    RepeatedDoubles doubles = 6;
    RepeatedBytes bytes = 7;
  }
  message RepeatedFloats { repeated float values = 1; }
  message RepeatedInts { repeated int32 values = 1; }
  message RepeatedBools { repeated bool values = 1; }
  message RepeatedStrings { repeated string values = 1; }
  message RepeatedLongInts { repeated int64 values = 1; }
  message RepeatedDoubles { repeated double values = 1; }
  message RepeatedBytes { bytes values = 1; }
}
message TupleValue { repeated Value values = 1; }
message ListValue { repeated Value values = 1; }
message DictionaryValue {
  repeated KeyValuePair values = 1;
  message KeyValuePair {
    Value key = 1;
    Value value = 2;
  }
}
`;

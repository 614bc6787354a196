# SPDX-License-Identifier: Apache-2.0
"""What each message of IPC-CFX must be, as JSON Schemas written from the standard, not from provd."""

UUID = {'type': 'string', 'pattern': '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'}
TIME = {'type': 'string', 'pattern': r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$'}
SPAN = {'type': 'string', 'pattern': r'^(\d+\.)?\d\d:\d\d:\d\d(\.\d{1,7})?$'}
TEXT = {'type': 'string', 'minLength': 1}
MAYBE = {'type': ['string', 'null']}
RESULT = {'enum': ['Passed', 'Failed', 'Error', 'Aborted', 'Skipped']}
WORK = {'enum': ['Completed', 'Failed', 'Aborted', 'Skipped']}
STATE = {'enum': [1000, 2000, 3000, 4000, 5000, 6000]}


def message(required, **more):
    """All of these, and nothing else but `more`."""
    return {'type': 'object', 'required': sorted(required), 'additionalProperties': False, 'properties': {**required, **more}}


def some(item):
    return {'type': 'array', 'minItems': 1, 'items': item}


UNIT = message({'UnitIdentifier': MAYBE, 'PositionNumber': {'type': 'integer', 'minimum': 1}, 'PositionName': TEXT,
                **{k: {'type': 'number'} for k in ('X', 'Y', 'Rotation')}, **{k: {'type': 'boolean'} for k in ('FlipX', 'FlipY')}})
UNITS = {'UnitCount': {'const': 1}, 'Units': {'type': 'array', 'minItems': 1, 'maxItems': 1, 'items': UNIT},
         'PrimaryIdentifier': MAYBE}
HERMES = {'HermesIdentifier': {'type': 'null'}}
LANE = {'Lane': {'type': ['integer', 'null']}}
STAGE = message({'StageSequence': {'type': 'integer', 'minimum': 1}, 'StageName': TEXT, 'StageType': {'const': 'Work'}})
FAULT = message({
    'Cause': {'enum': ['SoftwareFailure', 'ElectricalFailure', 'PowerFailure', 'ServicesFailure']},
    'Severity': {'enum': ['Information', 'Warning', 'Error', 'Alarm']}, 'FaultCode': TEXT, 'FaultOccurrenceId': UUID,
    'Lane': {'type': 'null'}, 'Stage': {'type': 'null'}, 'SideLocation': {'const': 'Unknown'}, 'AccessType': {'const': 'Unknown'},
    'Description': MAYBE, 'DescriptionTranslations': {'type': 'object'}, 'OccurredAt': TIME}, TransactionID=UUID)
LIMIT = {'type': ['number', 'null']}
MEASUREMENT = {
    'type': 'object', 'required': ['$type', 'MeasuredValue'],
    'oneOf': [
        message({'$type': {'const': 'CFX.Structures.NumericMeasurement, CFX'}, 'UniqueIdentifier': TEXT, 'MeasurementName': TEXT,
                 'Sequence': {'type': 'integer', 'minimum': 0}, 'Result': RESULT,
                 'MeasuredValue': message({'Value': {'type': 'number'}, 'ValueUnits': MAYBE, 'MinimumAcceptableValue': LIMIT,
                                           'MaximumAcceptableValue': LIMIT}, ExpectedValue=LIMIT, ExpectedValueUnits=MAYBE)},
                TimeRecorded=MAYBE, CRDs=MAYBE),
        message({'$type': {'const': 'CFX.Structures.TextMeasurement, CFX'}, 'UniqueIdentifier': TEXT, 'MeasurementName': TEXT,
                 'Sequence': {'type': 'integer', 'minimum': 0}, 'Result': RESULT, 'MeasuredValue': MAYBE},
                TimeRecorded=MAYBE, CRDs=MAYBE)]}
TEST = message({
    'UniqueIdentifier': TEXT, 'TestName': TEXT, 'TestStartTime': TIME, 'TestEndTime': {'anyOf': [TIME, {'type': 'null'}]},
    'TestConditions': {'const': []}, 'Result': RESULT, 'Error': MAYBE, 'SymptomsFound': {'const': []},
    'DefectsFound': {'const': []}, 'Measurements': {'type': 'array', 'items': MEASUREMENT}}, TestProcedure=MAYBE, Comments=MAYBE)

BODIES = {
    'CFX.EndpointConnected': message({'CFXHandle': TEXT, 'RequestNetworkUri': MAYBE, 'RequestTargetAddress': MAYBE}),
    'CFX.Heartbeat': message({'CFXHandle': TEXT, 'HeartbeatFrequency': SPAN}, ActiveFaults={'type': ['array', 'null']},
                             ActiveRecipes={'type': ['array', 'null']}),
    'CFX.EndpointShuttingDown': message({'CFXHandle': TEXT}),
    'CFX.Production.UnitsArrived': message({**UNITS, **HERMES, **LANE}),
    'CFX.Production.UnitsDeparted': message({**UNITS, **HERMES, **LANE}),
    'CFX.Production.WorkStarted': message({
        **UNITS, **HERMES, **LANE, 'TransactionID': UUID, 'RecipeName': TEXT, 'Revision': TEXT,
        'WorkOrderIdentifier': message({'WorkOrderId': TEXT, 'Batch': TEXT})}),
    'CFX.Production.WorkStageStarted': message({'TransactionID': UUID, 'Stage': STAGE}),
    'CFX.Production.WorkStageCompleted': message({'TransactionID': UUID, 'Stage': STAGE, 'Result': WORK,
                                                  'PerformanceImpacts': {'const': []}}),
    'CFX.Production.WorkCompleted': message({**UNITS, **HERMES, 'TransactionID': UUID, 'Result': WORK,
                                             'PerformanceImpacts': {'const': []}}),
    'CFX.Production.Assembly.UnitsPersonalized': message({
        'TransactionId': UUID, 'PersonalizedUnits': some(message({
            'UnitIdentifier': TEXT, 'UnitPositionNumber': {'const': 1},
            'Characteristics': some(message({'Name': TEXT, 'Value': TEXT}))}))}),
    'CFX.Production.TestAndInspection.UnitsTested': message({
        'TransactionId': UUID, 'TestMethod': {'enum': ['Human', 'Automated']}, 'Tester': {'type': ['object', 'null']},
        'SamplingInformation': message({'SamplingMethod': {'const': 'NoSampling'}, 'LotSize': {}, 'SampleSize': {}}),
        'RecipeName': TEXT, 'RecipeRevision': TEXT,
        'TestedUnits': some(message({'UnitIdentifier': MAYBE, 'UnitPositionNumber': {'const': 1}, 'OverallResult': RESULT,
                                     'Tests': {'type': 'array', 'items': TEST}}))}),
    'CFX.ResourcePerformance.StationStateChanged': message({
        'OldState': STATE, 'OldStateDuration': SPAN, 'NewState': STATE, 'RelatedFault': {'anyOf': [FAULT, {'type': 'null'}]}}),
    'CFX.ResourcePerformance.FaultOccurred': message({'Fault': FAULT}),
    'CFX.ResourcePerformance.FaultCleared': message({'FaultOccurrenceId': UUID, 'Operator': {'type': ['object', 'null']}}),
}


def envelope(name):
    return message({'MessageName': {'const': name}, 'Version': {'type': 'string', 'pattern': r'^\d+\.\d+$'}, 'TimeStamp': TIME,
                    'UniqueID': UUID, 'Source': {'type': 'string', 'pattern': r'^[^.]+\.[^.]+\.[^.]+$'}, 'Target': {'type': 'null'},
                    'RequestID': {'type': 'null'}, 'MessageBody': BODIES[name]})
